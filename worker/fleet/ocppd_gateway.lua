--
-- The second half of the library: what only gateways call. Arguments are
-- trusted. The key is the identity, or the shard's stream, as documented at each.

-- claim: OWNER INC GENERATION ERR ADDR PROTOCOL SINCE HELD
-- HELD: the command the gateway has in flight on this very connection, or "".
-- {"ok", epoch, former owner or "", commands that wait}, or {"stale", epoch,
-- owner, 0}: the charge point has connected elsewhere since.
local function claim(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local owner, inc, gen, err, held = a[1], a[2], tonumber(a[3]), tonumber(a[4]), a[8]
  local us = now_us()
  local s = session(p)
  local by = {node = owner:match('^(.*)/')}
  local epoch = s.epoch
  if s.state == 'online' and s.owner == owner and s.inc == inc and tonumber(s.generation) == gen then
    -- The same connection again. What was taken and never arrived was not sent.
    if s.inflight and s.inflight ~= held then
      local c = command(p, s.inflight)
      if c and c.state == 'sent' then lost(p, s, c, us, true, true, by) end
    end
  else
    if s.online then
      local stale
      if s.owner:match('^(.*)/') == by.node then
        stale = gen < tonumber(s.generation)
      else
        stale = gen + err + tonumber(s.err) < epoch and epoch < us + FUTURE
      end
      if stale then return {'stale', int(epoch), s.owner, 0} end
    end
    epoch = math.max(gen, epoch + 1)
    if s.inflight and s.inflight ~= held then
      local c = command(p, s.inflight)
      if c and c.state == 'sent' then lost(p, s, c, us, true, false, by) end
    end
    if s.online and s.owner ~= owner then
      notify(p, s.owner, 'what', 'replaced', 'identity', p.id, 'epoch', int(epoch), 'by', owner)
    end
  end
  call('HSET', p.cp, 'epoch', int(epoch), 'owner', owner, 'inc', inc, 'state', 'online', 'generation', a[3], 'err', a[4],
    'addr', a[5], 'protocol', a[6], 'since', a[7], 'seen', int(us / 1000))
  call('PEXPIRE', p.cp, KEEP_SESSION)
  if held ~= '' then
    local c = command(p, held)
    if c and c.state ~= 'done' then
      if c.state == 'queued' then call('LREM', p.queue, 1, held) end
      local due = math.floor(us / 1000) + GRACE * 2
      call('HSET', c.key, 'state', 'sent', 'epoch', int(epoch), 'sent', c.sent or int(us / 1000))
      call('ZADD', p.due, due, p.id .. '/' .. held)
      call('HSET', p.cp, 'inflight', held)
    end
  end
  return {'ok', int(epoch), s.online and s.owner ~= owner and s.owner or '', call('LLEN', p.queue)}
end

-- release: EPOCH REASON NODE. 1, or 0 if a newer connection holds it.
local function release(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local s = session(p)
  if s.epoch ~= tonumber(a[1]) or s.state ~= 'online' then return 0 end
  local us, by = now_us(), {node = a[3]}
  call('HSET', p.cp, 'state', 'offline', 'closed', int(us / 1000), 'reason', a[2])
  call('PEXPIRE', p.cp, KEEP_SESSION)
  if s.inflight then
    local c = command(p, s.inflight)
    if c and c.state == 'sent' then lost(p, s, c, us, false, false, by) end
  end
  for _, id in ipairs(call('LRANGE', p.queue, 0, -1)) do
    local c = command(p, id)
    if not c then call('LREM', p.queue, 1, id)
    elseif c.ifOffline == 'fail' then settle(p, s, c, us, 'offline', '', by) end
  end
  return 1
end

-- take: EPOCH TIMEOUT NODE. Marks the queue's head as sent: {"take", commandId,
-- action, payload, ms until its deadline, commands behind it}, {"none"},
-- {"busy", commandId} or {"lost"} if the epoch is not the session's any more.
local function take(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local s = session(p)
  if s.epoch ~= tonumber(a[1]) or s.state ~= 'online' then return {'lost'} end
  if s.inflight then return {'busy', s.inflight} end
  local us = now_us()
  local now = math.floor(us / 1000)
  while true do
    local id = call('LPOP', p.queue)
    if not id then return {'none'} end
    local c = command(p, id)
    if c and c.state == 'queued' then
      if tonumber(c.deadline) <= now then
        settle(p, s, c, us, 'expired', '', {node = a[3]})
      else
        call('HSET', c.key, 'state', 'sent', 'sent', now, 'epoch', a[1])
        call('HSET', p.cp, 'inflight', id)
        call('ZADD', p.due, now + tonumber(a[2]) + GRACE, p.id .. '/' .. id)
        return {'take', id, c.action, c.payload, tonumber(c.deadline) - now, call('LLEN', p.queue)}
      end
    end
  end
end

-- finish: EPOCH COMMANDID OUTCOME DETAIL DURATION EVENTID NODE TIMESTAMP ACTION
-- MESSAGEID.
-- Outcome `offline` means that it was never sent, `uncertain` that the
-- connection is gone. {"done"}; {"queued"}: it waits again; {"late"}: it had
-- its outcome already, or another connection has it now. May be repeated.
local function finish(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local s = session(p)
  local us = now_us()
  local by = {generation = tonumber(a[1]), duration = a[5], eventId = a[6], node = a[7], timestamp = a[8],
    messageId = a[10]}
  local c = command(p, a[2])
  if not c then -- the server lost it, or it is older than KEEP_DONE
    c = {id = a[2], key = p.S .. 'cmd:' .. p.id .. '/' .. a[2], state = 'new', action = a[9]}
    call('HSET', c.key, 'created', int(us / 1000))
    settle(p, s, c, us, a[3], a[4], by)
    return {'done'}
  end
  if c.state == 'done' or c.state == 'sent' and c.epoch ~= a[1] then return {'late'} end
  local here = s.online and s.epoch ~= tonumber(a[1])
  if c.state == 'queued' and (a[3] == 'offline' and (here or c.ifOffline == 'wait')
      or a[3] == 'uncertain' and c.idempotent == 'yes') then
    return {'queued'} -- a claim has put it back already
  end
  if c.state == 'sent' and a[3] == 'offline' then lost(p, s, c, us, here, true, by)
  elseif c.state == 'sent' and a[3] == 'uncertain' then lost(p, s, c, us, here, false, by)
  else settle(p, s, c, us, a[3], a[4], by) end
  if c.state == 'queued' and here then wake(p, s) end
  return {c.state}
end

-- refresh: OWNER INC, then IDENTITY EPOCH SEEN of each, all of one shard (the
-- key is its stream). {identities held by others, identities whose commands wait}
local function refresh(keys, a)
  local p = shard_place(keys[1])
  local gone, waiting = {}, {}
  for i = 3, #a, 3 do
    local q = at(p, a[i])
    local v = call('HMGET', q.cp, 'epoch', 'inflight')
    if v[1] ~= a[i + 1] then
      gone[#gone + 1] = a[i]
    else
      call('HSET', q.cp, 'seen', a[i + 2])
      call('PEXPIRE', q.cp, KEEP_SESSION)
      if not v[2] and call('EXISTS', q.queue) == 1 then waiting[#waiting + 1] = a[i] end
    end
  end
  return {gone, waiting}
end

-- tick: what is due gets its outcome. Any worker of any node may call it.
local function tick(p, node, us)
  local by, n = {node = node}, 0
  for _, member in ipairs(call('ZRANGEBYSCORE', p.due, '-inf', math.floor(us / 1000), 'LIMIT', 0, 100)) do
    local id, commandId = member:match('^([^/]*)/(.*)$')
    local q = at(p, id)
    local c, s = command(q, commandId), session(q)
    if not c or c.state == 'done' then
      call('ZREM', p.due, member)
    elseif c.state == 'queued' then
      settle(q, s, c, us, 'expired', '', by)
    else
      lost(q, s, c, us, s.online and int(s.epoch) ~= c.epoch, false, by)
    end
    n = n + 1
  end
  return n
end

-- keepalive: OWNER INC TTL. Keeps the worker's sessions alive and does the tick.
-- {"ok" | "replaced", us now, commands without outcome, events in the stream,
-- commands ended by this tick, last id of the inbox}
local function keepalive(keys, a)
  local p = shard_place(keys[1])
  local us = now_us()
  local key = p.S .. 'owner:' .. a[1]
  local other = call('GET', key)
  if other and other > a[2] then return {'replaced', int(us), 0, 0, 0, '0-0'} end
  call('SET', key, a[2], 'PX', a[3])
  local inbox = p.S .. 'inbox:' .. a[1]
  call('PEXPIRE', inbox, KEEP_INBOX)
  local last = call('XREVRANGE', inbox, '+', '-', 'COUNT', 1)[1]
  local n = tick(p, a[1]:match('^(.*)/'), us)
  return {'ok', int(us), call('ZCARD', p.due), call('XLEN', p.stream), n, last and last[1] or '0-0'}
end

-- leave: OWNER INC. A worker that stops takes its name off at once.
local function leave(keys, a)
  local key = shard_place(keys[1]).S .. 'owner:' .. a[1]
  if call('GET', key) ~= a[2] then return 0 end
  return call('DEL', key, shard_place(keys[1]).S .. 'inbox:' .. a[1])
end

-- The event of a question, as it is added to the stream. fields: its names and
-- values from a[first] to a[last]. The last one is the token.
local function open_question(stream, a, first, last)
  local e = {}
  for i = first, last, 2 do e[a[i]] = a[i + 1] end
  local p = at({S = '{' .. stream .. '}:', stream = stream}, e.chargePointId)
  local q = question(p, e.replyToken)
  if not q or q.token == e.replyToken then return end -- closed already
  if q.state == 'taken' then
    -- Asked again, since the worker that asked first is gone.
    set_question(q, 'token', e.replyToken)
    deliver(p, e.replyToken, q.payload)
  else
    set_question(q, 'state', 'open', 'token', e.replyToken, 'former', q.state == 'open' and q.token or '',
      'action', e.action, 'protocol', e.protocol or '', 'payload', '')
  end
end

-- The event that holds the answer is added to the stream.
local function end_question(stream, id, token)
  local q = question(at({S = '{' .. stream .. '}:', stream = stream}, id), token)
  if q and (q.token == token or not q.token) then
    set_question(q, 'state', 'done', 'token', token, 'payload', '')
  end
end

-- close: TOKEN. Its time is over: {"taken", payload} if an answer was taken
-- before; {"moved"} if the same was asked by another worker since; else
-- {"closed"}, and none can be given any more.
local function close(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local q = question(p, a[1])
  if q.token and q.token ~= a[1] then return {'moved'} end
  if q.state == 'taken' then return {'taken', q.payload} end
  set_question(q, 'state', 'done', 'token', a[1])
  return {'closed'}
end

-- reopen: TOKEN WHY. The answer that was taken breaks the schema.
local function reopen(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local q = question(p, a[1])
  if q.token ~= a[1] or q.state ~= 'taken' then return 0 end
  set_question(q, 'state', 'open', 'payload', '', 'refused', a[2])
  return 1
end

local STARTS_MAX = 64 -- of a charge point that are remembered

local function starts_key(p) return p.S .. 'starts:' .. p.id end

-- State and answer of a start; nil if it is unknown. Its event is not in the
-- stream yet as `draft` and `stopped`, and is there as `known` and `gone`. As
-- `stopped` and `gone` its transaction has ended.
local function read_start(p, fingerprint)
  local v = call('HGET', starts_key(p), fingerprint)
  if not v then return nil end
  local state, answer = v:match('^(%a+) %d+ (.*)$')
  return state, answer
end

local function write_start(p, fingerprint, state, answer)
  local key = starts_key(p)
  call('HSET', key, fingerprint, state .. ' ' .. int(now_us()) .. ' ' .. answer)
  call('PEXPIRE', key, KEEP_SESSION)
  if call('HLEN', key) <= STARTS_MAX then return end
  local oldest, since
  local all = call('HGETALL', key)
  for i = 1, #all, 2 do
    local us = tonumber(all[i + 1]:match('^%a+ (%d+) '))
    if all[i] ~= fingerprint and (not since or us < since) then oldest, since = all[i], us end
  end
  call('HDEL', key, oldest)
end

-- The transaction has ended: an equal start is a new one.
local function end_start(p, id)
  local all = call('HGETALL', starts_key(p))
  for i = 1, #all, 2 do
    local state, answer = all[i + 1]:match('^(%a+) %d+ (.*)$')
    if answer:match('"transactionId"%s*:%s*(-?%d+)') == id and (state == 'draft' or state == 'known') then
      write_start(p, all[i], state == 'known' and 'gone' or 'stopped', answer)
    end
  end
end

-- start: FINGERPRINT ANSWER [left]. Which answer a StartTransaction was given, by
-- whichever gateway: {"known", answer} if its event is in the stream; {"draft",
-- answer} if a gateway has reserved the answer; else {"new"}, and ANSWER is
-- reserved. With an empty ANSWER nothing is, and there is also {"stopped",
-- answer}. So it is with "left" if the transaction has ended: the charge point has
-- left, so it has not sent an equal start since.
local function start(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local state, answer = read_start(p, a[1])
  if state == 'known' or state == 'draft' then return {state, answer} end
  if a[2] == '' or state and a[3] == 'left' then return {state and 'stopped' or 'new', answer} end
  write_start(p, a[1], 'draft', a[2])
  return {'new'}
end

-- stopped: ID. The StopTransaction of that transaction is durable.
local function stopped(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  end_start(p, a[1])
  return 1
end

local EVENTS_MAX = 64 -- of a charge point that are remembered: TransactionEvents, stops
local SKEW = 5000000 -- us
local METERS_MAX = 64 -- ... MeterValues

local function events_key(p) return p.S .. 'events:' .. p.id end
local function meters_key(p) return p.S .. 'meters:' .. p.id end

-- A TransactionEvent of 2.x, or the end of a transaction of 1.6. False if the
-- stream has an event of it with the same answer: the charge point has sent it
-- to two gateways.
local function note_event(p, fingerprint, answer, generation)
  local key = events_key(p)
  local member = fingerprint .. redis.sha1hex(answer or ''):sub(1, 8)
  if call('ZSCORE', key, member) then return false end
  call('ZADD', key, int(generation), member)
  call('ZREMRANGEBYRANK', key, 0, -1 - EVENTS_MAX)
  call('PEXPIRE', key, KEEP_SESSION)
  return true
end

-- MeterValues. False if the stream has an event of the same message.
local function note_meter(p, fingerprint)
  local key = meters_key(p)
  local list = call('GET', key) or ''
  for i = 1, #list, 16 do
    if list:sub(i, i + 15) == fingerprint then return false end
  end
  call('SET', key, (list .. fingerprint):sub(-16 * METERS_MAX), 'PX', KEEP_SESSION)
  return true
end

-- A transaction with this id has begun. One that ended before may have had the
-- same id, and an equal message of it is another one. up_to: the highest
-- generation of an event of that one.
local function forget_former(p, answer, up_to)
  local id = answer:match('"transactionId"%s*:%s*(-?%d+)')
  for _, member in ipairs(call('ZRANGEBYSCORE', events_key(p), '-inf', up_to)) do
    if member:match('^(-?%d+):') == id then call('ZREM', events_key(p), member) end
  end
end

-- What ship notes of an event: "start:FINGERPRINT", "stop:ID:FINGERPRINT" (older
-- gateways: "stop:ID"), "event:FINGERPRINT" or "meter:FINGERPRINT". False if the
-- event is in the stream already: two gateways have made one of the same message
-- with the same answer, since the second could not know that the first one's is
-- durable.
local function note(p, what, a, first, last)
  local kind, fingerprint = what:match('^(%a+):(.*)$')
  if kind == 'meter' then return note_meter(p, fingerprint) end
  local answer, generation = nil, 0
  for i = first, last, 2 do
    if a[i] == 'answer' then answer = a[i + 1] end
    if a[i] == 'generation' then generation = tonumber(a[i + 1]) or 0 end
  end
  if kind == 'event' then return note_event(p, fingerprint, answer, generation) end
  if kind == 'stop' then
    end_start(p, fingerprint:match('^-?%d+'))
    return not fingerprint:find(':') or note_event(p, fingerprint, answer, generation)
  end
  local state, given = read_start(p, fingerprint)
  if given ~= answer or state == 'draft' then
    -- If this start was a draft with this answer, the end of its transaction has not
    -- come yet. Otherwise the end may have come first, from another gateway: the start
    -- is not known here, or its draft has another answer, which was given to no charge
    -- point. That gateway had a later connection of the charge point, whose generation
    -- is higher, or, if Redis could not be asked, may be lower by less than SKEW. The
    -- numbers of events do not show the order, because clocks differ.
    forget_former(p, answer, given == answer and '+inf' or int(generation - SKEW))
    if #answer <= START_MAX then write_start(p, fingerprint, 'known', answer) end
  elseif state == 'stopped' then
    write_start(p, fingerprint, 'gone', answer)
  else
    return false
  end
  return true
end

-- ship: JOURNAL FROM TO, then for each event what is to be noted of it, if
-- anything is, the number of its fields and values, and these. The events are
-- added only if the journal was shipped up to FROM exactly; so none is there
-- twice, none out of order, also if a batch in front of this one failed.
-- {1, TO} or {0, where the journal stands}.
local function ship(keys, a)
  local key = '{' .. keys[1] .. '}:cursor:' .. a[1]
  local cursor = call('GET', key) or ''
  if cursor ~= a[2] then return {0, cursor} end
  local i = 4
  while i <= #a do
    local what = a[i]:match('^%a+:.*$')
    if what then i = i + 1 end
    local n = tonumber(a[i])
    local p = what and at({S = '{' .. keys[1] .. '}:', stream = keys[1]}, a[i + 6])
    if not what or note(p, what, a, i + 1, i + n) then call('XADD', keys[1], '*', unpack(a, i + 1, i + n)) end
    local name = a[i + n - 1]
    if name == 'replyToken' then open_question(keys[1], a, i + 1, i + n)
    elseif name == 'question' then end_question(keys[1], a[i + 6], a[i + n]) end
    i = i + n + 1
  end
  call('SET', key, a[3], 'PX', KEEP_CURSOR)
  return {1, a[3]}
end

local function before(x, y) -- order of stream ids
  local xm, xs = x:match('^(%d+)-(%d+)$')
  local ym, ys = y:match('^(%d+)-(%d+)$')
  if xm ~= ym then return tonumber(xm) < tonumber(ym) end
  return tonumber(xs) < tonumber(ys)
end

-- trim: AGE CAP. Removes events older than AGE ms that every consumer group
-- has acknowledged, or all of that age while there is no group; and whatever
-- is over CAP. {removed, removed over the cap, events left, groups}
local function trim(keys, a)
  local safe = int(math.floor(now_us() / 1000) - tonumber(a[1])) .. '-0'
  local groups = call('EXISTS', keys[1]) == 1 and call('XINFO', 'GROUPS', keys[1]) or {}
  for _, group in ipairs(groups) do
    local g = {}
    for i = 1, #group, 2 do g[group[i]] = group[i + 1] end
    local first = g['last-delivered-id']
    if g.pending > 0 then first = call('XPENDING', keys[1], g.name)[2] end
    if before(first, safe) then safe = first end
  end
  local removed = call('XTRIM', keys[1], 'MINID', '~', safe, 'LIMIT', 10000)
  local cut = 0
  if call('XLEN', keys[1]) > tonumber(a[2]) then
    cut = call('XTRIM', keys[1], 'MAXLEN', '~', a[2], 'LIMIT', 10000)
  end
  return {removed, cut, call('XLEN', keys[1]), #groups}
end

-- txids: COUNT FLOOR; the key is {STREAM}:txid:last of shard 0. The first of COUNT unused
-- ids, all above FLOOR; 0 if the 31 bits are used up.
local function txids(keys, a)
  local first = math.max(tonumber(call('GET', keys[1]) or 0), tonumber(a[2])) + 1
  local last = first + tonumber(a[1]) - 1
  if last > 2147483647 then return 0 end
  call('SET', keys[1], int(last))
  return first
end

local NEXT_MAX = 4 -- new keys that hold beside the key, as in common/authfile.h

-- key: WHAT KEY. What a gateway saw of a new key: `offered`, it is about to be
-- sent; `accepted`, the charge point took it; `withdrawn`, it refused it;
-- `used`, it showed it. `next` holds the new keys, oldest first, `accepted`
-- the newest one that was accepted. 1 if that changed something.
local function key(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local what, k = a[1], a[2]
  local now = call('HMGET', p.auth, 'key', 'next', 'accepted')
  if not now[1] then return 0 end
  local list, at = {}, nil
  for one in (now[2] or ''):gmatch('%S+') do
    list[#list + 1] = one
    if one == k then at = #list end
  end
  if what == 'offered' then
    if at or now[1] == k then return 0 end
    if #list == NEXT_MAX then
      -- The oldest goes that was not accepted.
      table.remove(list, list[1] == now[3] and 2 or 1)
    end
    list[#list + 1] = k
  elseif not at then
    return 0
  elseif what == 'accepted' then
    -- It has replaced the new keys that were sent before it.
    if at == 1 and now[3] == k then return 0 end
    list = {unpack(list, at)}
    call('HSET', p.auth, 'accepted', k)
  elseif what == 'withdrawn' then
    if now[3] == k then return 0 end
    table.remove(list, at)
  else
    call('HSET', p.auth, 'key', k)
    list = {unpack(list, at + 1)}
  end
  if #list > 0 then
    call('HSET', p.auth, 'next', table.concat(list, ' '))
  else
    call('HDEL', p.auth, 'next', 'accepted')
  end
  return 1
end

local function add(name, callback, ...)
  redis.register_function{function_name = PREFIX .. '_' .. name, callback = callback, flags = {...}}
end
add('call', ocppd_call)
add('cancel', ocppd_cancel)
add('command', ocppd_command, 'no-writes')
add('commands', ocppd_commands, 'no-writes')
add('session', ocppd_session, 'no-writes')
add('sessions', ocppd_sessions, 'no-writes')
add('answer', ocppd_answer)
add('auth', ocppd_auth)
add('version', function() return {VERSION, SHARDS} end, 'no-writes')
add('claim', claim)
add('release', release)
add('take', take)
add('finish', finish)
add('refresh', refresh)
add('keepalive', keepalive)
add('beat', keepalive) -- its name before version 4; older gateways call it
add('leave', leave)
add('ship', ship)
add('trim', trim, 'allow-oom')
add('close', close)
add('reopen', reopen)
add('start', start)
add('stopped', stopped)
add('txids', txids)
add('key', key)
