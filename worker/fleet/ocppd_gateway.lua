--
-- The second half of the library: the functions that only gateways call. Their
-- arguments are not checked. The key is the identity, if the comment of the
-- function does not name another one.

-- claim: OWNER INC GENERATION ERR ADDR PROTOCOL SINCE HELD
-- HELD is the command that the gateway has in flight on this connection, or "".
-- Returns {"ok", epoch, former owner or "", commands that wait}, or {"stale",
-- epoch, owner, 0} if the charge point has connected elsewhere since.
local function claim(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local owner, inc, gen, err, held = a[1], a[2], tonumber(a[3]), tonumber(a[4]), a[8]
  local us = now_us()
  local s = session(p)
  local by = {node = owner:match('^(.*)/')}
  local epoch = s.epoch
  if s.state == 'online' and s.owner == owner and s.inc == inc and tonumber(s.generation) == gen then
    -- The same connection claims again. A command that was taken and that the
    -- gateway does not have in flight never reached it, so it was not sent.
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

-- release: EPOCH REASON NODE. Returns 1, or 0 if a newer connection has the session.
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

-- take: EPOCH TIMEOUT NODE. Marks the head of the queue as sent. Returns {"take",
-- commandId, action, payload, ms until its deadline, commands behind it}, {"none"},
-- {"busy", commandId}, or {"lost"} if the session has another epoch by now.
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
-- The outcome `offline` means that the command was never sent, `uncertain` that
-- the connection has ended. Returns {"done"}, {"queued"} if the command waits
-- again, or {"late"} if it had its outcome already or another connection has it
-- now. A repetition changes nothing.
local function finish(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local s = session(p)
  local us = now_us()
  local by = {generation = tonumber(a[1]), duration = a[5], eventId = a[6], node = a[7], timestamp = a[8],
    messageId = a[10]}
  local c = command(p, a[2])
  if not c then -- the server has lost it, or it ended more than KEEP_DONE ago
    c = {id = a[2], key = p.S .. 'cmd:' .. p.id .. '/' .. a[2], state = 'new', action = a[9]}
    call('HSET', c.key, 'created', int(us / 1000))
    settle(p, s, c, us, a[3], a[4], by)
    return {'done'}
  end
  if c.state == 'done' or c.state == 'sent' and c.epoch ~= a[1] then return {'late'} end
  local here = s.online and s.epoch ~= tonumber(a[1])
  if c.state == 'queued' and (a[3] == 'offline' and (here or c.ifOffline == 'wait')
      or a[3] == 'uncertain' and c.idempotent == 'yes') then
    return {'queued'} -- a claim has queued it again already
  end
  if c.state == 'sent' and a[3] == 'offline' then lost(p, s, c, us, here, true, by)
  elseif c.state == 'sent' and a[3] == 'uncertain' then lost(p, s, c, us, here, false, by)
  else settle(p, s, c, us, a[3], a[4], by) end
  if c.state == 'queued' and here then wake(p, s) end
  return {c.state}
end

-- refresh: OWNER INC, then IDENTITY EPOCH SEEN of each session; all are of one
-- shard, whose stream is the key. Returns {identities that another connection
-- has, identities whose commands wait}.
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

-- Gives commands that are due their outcome, whichever worker of whichever node
-- calls it.
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

-- keepalive: OWNER INC TTL; the key is the stream. Keeps the worker's sessions
-- online and calls tick. Returns {"ok" or "replaced", the time in us, commands
-- without an outcome, events in the stream, commands that tick ended, last id of
-- the inbox}. "replaced": a newer worker process has this name.
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

-- leave: OWNER INC; the key is the stream. A worker that stops removes its owner
-- key and its inbox at once. Returns 1, or 0 if another process has the name.
local function leave(keys, a)
  local key = shard_place(keys[1]).S .. 'owner:' .. a[1]
  if call('GET', key) ~= a[2] then return 0 end
  return call('DEL', key, shard_place(keys[1]).S .. 'inbox:' .. a[1])
end

-- close: TOKEN. Closes a question whose time is over. Returns {"taken", payload} if
-- an answer was taken before, {"moved"} if another worker has asked the same since,
-- and otherwise {"closed"}; from then on an answer is late.
local function close(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local q = question(p, a[1])
  if q.token and q.token ~= a[1] then return {'moved'} end
  if q.state == 'taken' then return {'taken', q.payload} end
  set_question(q, 'state', 'done', 'token', a[1])
  return {'closed'}
end

-- reopen: TOKEN WHY. Opens a question again, because the answer that was taken
-- breaks the schema. Returns 1, or 0 if that answer is not of this token.
local function reopen(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local q = question(p, a[1])
  if q.token ~= a[1] or q.state ~= 'taken' then return 0 end
  set_question(q, 'state', 'open', 'payload', '', 'refused', a[2])
  return 1
end

local STARTS_MAX = 64 -- StartTransactions of a charge point that are remembered
-- A remembered one: its state, us, the generation of its end, its answer.
local START = '^(%a+) %d+ (%d*) ?(.*)$'
local TRANSACTION = '"transactionId"%s*:%s*(-?%d+)'

local function starts_key(p) return p.S .. 'starts:' .. p.id end

-- The state and the answer of a StartTransaction; nil if it is unknown. The states:
--            its event is      its transaction
--   draft    not in the stream  has not ended
--   known    in the stream      has not ended
--   stopped  not in the stream  has ended
--   gone     in the stream      has ended
-- The third result is the generation of the connection on which the transaction has
-- ended; 0 if that is unknown.
local function read_start(p, fingerprint)
  local state, ended, answer = (call('HGET', starts_key(p), fingerprint) or ''):match(START)
  return state, answer, tonumber(ended) or 0
end

local function write_start(p, fingerprint, state, answer, ended)
  local key = starts_key(p)
  -- Another answer replaces this one, whose end is in the stream and whose start is
  -- not there yet (take_early_end()).
  local was, former = read_start(p, fingerprint)
  local id = was == 'stopped' and former ~= answer and former:match(TRANSACTION)
  if id then call('HSET', key, 'end:' .. id, 'early ' .. int(now_us()) .. ' ') end
  call('HSET', key, fingerprint, state .. ' ' .. int(now_us()) .. ' ' .. (ended and int(ended) .. ' ' or '') .. answer)
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

-- Notes that a transaction has ended on a connection of that generation: from now on
-- an equal StartTransaction begins a new one. Returns false if no start of the
-- transaction is remembered.
local function end_start(p, id, generation)
  local all, found = call('HGETALL', starts_key(p)), false
  for i = 1, #all, 2 do
    local state, _, answer = all[i + 1]:match(START)
    if answer and answer:match(TRANSACTION) == id then
      found = true
      if state == 'draft' or state == 'known' then
        write_start(p, all[i], state == 'known' and 'gone' or 'stopped', answer, generation)
      end
    end
  end
  return found
end

-- start: FINGERPRINT ANSWER [left]. Returns the answer that some gateway gave to a
-- StartTransaction: {"known", answer} if its event is in the stream, {"draft",
-- answer} if a gateway has reserved the answer. Otherwise returns {"new"} and
-- reserves ANSWER. If ANSWER is empty, nothing is reserved, and the result is
-- {"stopped", answer} if the transaction has ended. The same holds for "left" if
-- the transaction has ended: the charge point has disconnected, so this is the
-- StartTransaction of the ended transaction and not a new one that is equal.
local function start(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  local state, answer = read_start(p, a[1])
  if state == 'known' or state == 'draft' then return {state, answer} end
  if a[2] == '' or state and a[3] == 'left' then return {state and 'stopped' or 'new', answer} end
  write_start(p, a[1], 'draft', a[2])
  return {'new'}
end

-- stopped: ID. Called when the StopTransaction of that transaction is durable.
local function stopped(keys, a)
  local p, wrong = place(keys[1])
  if not p then return wrong end
  end_start(p, a[1], session(p).epoch)
  return 1
end

-- Returns "yes" if another gateway has answered the StartTransaction of a question,
-- and "ended" if its transaction has also ended, on a later connection than that of
-- the question. (If it has ended on an earlier one, the StartTransaction is new.)
local function answered_elsewhere(p, e)
  local state, _, ended = read_start(p, e.replyToken:match('/[st](%x+)%.[^/]*$') or '')
  if state == 'draft' or state == 'known' then return 'yes' end
  return state and (tonumber(e.generation) or 0) < ended and 'ended' or nil
end

-- Opens the question of an answer.requested event that is added to the stream.
-- a[first] to a[last] are the names and values of its fields; the last value is
-- the token. If the gateway could not reach the server for a while, another one may
-- have answered the same StartTransaction; then the question is not opened.
local function open_question(stream, a, first, last)
  local e = {}
  for i = first, last, 2 do e[a[i]] = a[i + 1] end
  local p = at({S = '{' .. stream .. '}:', stream = stream}, e.chargePointId)
  local q = question(p, e.replyToken)
  if not q or q.token == e.replyToken then return end -- closed already
  local late = answered_elsewhere(p, e)
  if late then
    if not q.state or q.state == 'done' then set_question(q, 'state', 'done', 'token', e.replyToken, 'payload', '') end
    if late == 'yes' then deliver(p, 'moved', e.replyToken, '') end
  elseif q.state == 'taken' then
    -- The question is asked again, because the worker that asked first has ended.
    set_question(q, 'token', e.replyToken)
    deliver(p, 'answer', e.replyToken, q.payload)
  else
    set_question(q, 'state', 'open', 'token', e.replyToken, 'former', q.state == 'open' and q.token or '',
      'action', e.action, 'protocol', e.protocol or '', 'payload', '')
  end
end

-- Ends the question of a CALL's event, which holds its answer and is added to the
-- stream.
local function end_question(stream, id, token)
  local q = question(at({S = '{' .. stream .. '}:', stream = stream}, id), token)
  if q and (q.token == token or not q.token) then
    set_question(q, 'state', 'done', 'token', token, 'payload', '')
  end
end

-- Messages of a charge point that are remembered: TransactionEvents and
-- StopTransactions together, and MeterValues.
local EVENTS_MAX = 64
local METERS_MAX = 64

local function events_key(p) return p.S .. 'events:' .. p.id end
local function meters_key(p) return p.S .. 'meters:' .. p.id end

-- Remembers a TransactionEvent of 2.x or the end of a transaction of 1.6. Returns
-- false if the stream has an event of the same message with the same answer: the
-- charge point has sent it to two gateways.
local function note_event(p, fingerprint, answer)
  local key = events_key(p)
  local member = fingerprint .. redis.sha1hex(answer or ''):sub(1, 8)
  if call('ZSCORE', key, member) then return false end
  call('ZADD', key, int(now_us()), member)
  call('ZREMRANGEBYRANK', key, 0, -1 - EVENTS_MAX)
  call('PEXPIRE', key, KEEP_SESSION)
  return true
end

-- Remembers MeterValues. Returns false if the stream has an event of the same
-- message.
local function note_meter(p, fingerprint)
  local key = meters_key(p)
  local list = call('GET', key) or ''
  for i = 1, #list, 16 do
    if list:sub(i, i + 15) == fingerprint then return false end
  end
  call('SET', key, (list .. fingerprint):sub(-16 * METERS_MAX), 'PX', KEEP_SESSION)
  return true
end

-- Called when the start of a transaction with this id is added to the stream. Returns
-- true if the end is there already: gateways that could not reach the server ship
-- in any order, and neither clocks nor generations show the true one. Therefore the
-- end of a transaction without a remembered start is noted as `early` among the
-- starts, and belongs to the next start with its id. Other ends belong to an earlier
-- transaction with the same id; they are forgotten, because an equal message of the
-- new transaction is not a repetition.
local function take_early_end(p, id)
  if not id then return false end
  if call('HDEL', starts_key(p), 'end:' .. id) == 1 then return true end
  for _, member in ipairs(call('ZRANGE', events_key(p), 0, -1)) do
    if member:match('^(-?%d+):') == id then call('ZREM', events_key(p), member) end
  end
  return false
end

-- Remembers the message of an event. what is "start:FINGERPRINT",
-- "stop:ID:FINGERPRINT" ("stop:ID" from older gateways), "event:FINGERPRINT" or
-- "meter:FINGERPRINT". Returns false if the stream has an event of the same message
-- already: two gateways have made an event of it with the same answer, because the
-- second gateway could not know that the event of the first one is durable.
local function note(p, what, a, first, last)
  local kind, fingerprint = what:match('^(%a+):(.*)$')
  if kind == 'meter' then return note_meter(p, fingerprint) end
  local answer, generation = nil, 0
  for i = first, last, 2 do
    if a[i] == 'answer' then answer = a[i + 1] end
    if a[i] == 'generation' then generation = tonumber(a[i + 1]) or 0 end
  end
  if kind == 'event' then return note_event(p, fingerprint, answer) end
  if kind == 'stop' then
    local id = fingerprint:match('^-?%d+')
    local found = end_start(p, id, generation)
    local first_time = not fingerprint:find(':') or note_event(p, fingerprint, answer)
    if first_time and not found then write_start(p, 'end:' .. id, 'early', '') end
    return first_time
  end
  local state, given, ended = read_start(p, fingerprint)
  if given ~= answer or state == 'draft' then
    -- If this start is a draft with this answer, its transaction has not ended. If the
    -- start is not known here, or if its draft has another answer, which no charge
    -- point has received, another gateway may have shipped the end before.
    local early = take_early_end(p, answer:match(TRANSACTION)) and given ~= answer
    if #answer <= START_MAX then write_start(p, fingerprint, early and 'gone' or 'known', answer) end
  elseif state == 'stopped' then
    write_start(p, fingerprint, 'gone', answer, ended)
  else
    return false
  end
  return true
end

-- ship: JOURNAL FROM TO, then for each event: `what` of note, if its message is to
-- be remembered; the number of its fields and values together; the fields and
-- values. The key is the stream. The events are added only if the cursor of the
-- journal is FROM, so no event is added twice or out of order, even if an earlier
-- batch failed. Returns {1, TO}, or {0, cursor of the journal}.
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

local function before(x, y) -- true if the stream id x is lower than y
  local xm, xs = x:match('^(%d+)-(%d+)$')
  local ym, ys = y:match('^(%d+)-(%d+)$')
  if xm ~= ym then return tonumber(xm) < tonumber(ym) end
  return tonumber(xs) < tonumber(ys)
end

-- trim: AGE CAP; the key is the stream. Removes the events that are older than AGE
-- ms and that every consumer group has acknowledged; if there is no group, all of
-- that age. Then removes the oldest events above CAP. Returns {removed by age,
-- removed above the cap, events left, groups}.
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

-- txids: COUNT FLOOR; the key is {STREAM}:txid:last of shard 0. Reserves COUNT
-- transaction ids above FLOOR and returns the first one, or 0 if no ids of 31 bits
-- are left.
local function txids(keys, a)
  local first = math.max(tonumber(call('GET', keys[1]) or 0), tonumber(a[2])) + 1
  local last = first + tonumber(a[1]) - 1
  if last > 2147483647 then return 0 end
  call('SET', keys[1], int(last))
  return first
end

local NEXT_MAX = 4 -- new keys that are valid besides the key, as in common/authfile.h

-- key: WHAT KEY. WHAT is what has happened to the new key: `offered` (the gateway
-- will send it next), `accepted` or `withdrawn` (the charge point has accepted or
-- refused it), `used` (the charge point has connected with it). In the hash, `next`
-- has the new keys, the oldest first, and `accepted` the newest one that was
-- accepted. Returns 1 if the hash was changed, otherwise 0.
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
      -- Remove the oldest key that is not the accepted one.
      table.remove(list, list[1] == now[3] and 2 or 1)
    end
    list[#list + 1] = k
  elseif not at then
    return 0
  elseif what == 'accepted' then
    -- The charge point has replaced the new keys that were sent before by this one.
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
add('beat', keepalive) -- the name of keepalive before version 4, which older gateways call
add('leave', leave)
add('ship', ship)
add('trim', trim, 'allow-oom')
add('close', close)
add('reopen', reopen)
add('start', start)
add('stopped', stopped)
add('txids', txids)
add('key', key)
