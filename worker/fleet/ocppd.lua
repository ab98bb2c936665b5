#!lua name=ocppd
local PREFIX, SHARDS, VERSION = 'ocppd', 1, 10
--
-- The atomic steps of the fleet: they change the owner of a charge point, its
-- queue of commands and the outcome of each command. They run in Redis 7 and
-- Valkey 8; see ocppd-redis(7).
--
-- The gateway replaces the first two lines by its own redis.prefix and
-- redis.shards, and loads the library if the server has none or an older one.
-- So two fleets can share a server, each with its own functions.
--
-- KEYS. All keys of a charge point are in one shard (CRC16 of its identity
-- modulo SHARDS). All keys of a shard are in the hash slot of the shard's event
-- stream, because they begin with the stream's name in braces. A function is
-- called for one identity or one shard, and so touches one slot. Therefore a
-- function can store the outcome of a command and add its event in one step.
--
--   ocppd:events:0                    events (stream)
--   {ocppd:events:0}:cp:ID            session and fence (hash)
--   {ocppd:events:0}:queue:ID         commandIds that wait, in order (list)
--   {ocppd:events:0}:cmd:ID/COMMANDID one command (hash)
--   {ocppd:events:0}:due              ID/COMMANDID of every command without an
--                                     outcome; the score is the time at which
--                                     it gets one at the latest (sorted set)
--   {ocppd:events:0}:owner:NODE/W     incarnation of a live worker (expires)
--   {ocppd:events:0}:inbox:NODE/W     notices for that worker (stream)
--   {ocppd:events:0}:cursor:NODE-ID/J how far journal J of the node is shipped
--   {ocppd:events:0}:auth:ID          key and new key, hashed (hash)
--   {ocppd:events:0}:ask:ID/QUESTION  one question to the platform (hash)
--   {ocppd:events:0}:events:ID        the last TransactionEvents and StopTransactions in
--                                     the stream (sorted set)
--   {ocppd:events:0}:meters:ID        the last MeterValues in the stream (fingerprints)
--   {ocppd:events:0}:starts:ID        answers to its last StartTransactions (hash)
--   {ocppd:events:0}:txid:last        last transaction id reserved; only in shard 0
--
-- FENCE. A connection's generation is the time at which it was made, in
-- microseconds of the server's clock. The node estimates that clock; `err` is the
-- largest error of the estimate. The session with the highest generation wins, in
-- whatever order the claims arrive; after a loss of data the nodes claim their
-- sessions again. The epoch that is granted never falls. The order of arrival
-- decides only if two generations differ by less than their errors, or if a
-- generation is in the future.
--
-- COMMANDS.
--                 ocppd_call                        take
--   (unknown) ---------------> queued ------------------------> sent
--                 |              |  ^                             |  |
--      offline,   |     expired, |  | not sent after all, or lost |  | finish
--      invalid    |     offline  |  | and marked idempotent       |  |
--                 v              v  +-----------------------------+  v
--                done <--------- done                               done
--
-- The step to `done` changes the state and adds the command.response event to
-- the stream in one function, so neither exists without the other. A command
-- never leaves `done`. What fails, and what happens then:
--
--   the platform dies after            It calls again with the same commandId.
--   ocppd_call
--   the gateway dies before take       The command stays in the queue.
--   the gateway dies between take      The command is `sent`. The next claim, or
--   and finish                         the tick after its deadline, queues it
--                                      again if it is idempotent, and otherwise
--                                      ends it as `uncertain`.
--   finish gets no reply               The gateway repeats it with the same
--                                      eventId. If the first one was executed,
--                                      the second one finds `done`.
--   take gets no reply                 The gateway's next claim names the command
--                                      that it has in flight. Another one that is
--                                      `sent` never left, and goes back to the
--                                      head of the queue.
--   the owner does not come back       The tick of any worker ends commands that
--                                      are due.
--   Redis loses its last second        State and event are lost together. The
--                                      gateways repeat the claims and finishes of
--                                      the last seconds, and ship again from the
--                                      cursor, which was set back as well.
--
-- QUESTIONS. A CALL that the platform is to answer is a question. Its
-- answer.requested event opens it, in the step that adds the event to the
-- stream; the CALL's own event, which holds the answer that left, ends it.
--
--              ship            ocppd_answer          ship
--   (unknown) ------> open ---------------> taken --------> done
--                      |  ^                   |
--            close,    |  +-------------------+ reopen: the answer breaks the
--            ship      v                        schema
--                     done
--
-- The first answer is taken and sent to the worker that asked. Before a worker
-- answers with the fallback, it closes the question; if an answer was taken, the
-- worker uses that one. QUESTION is the last part of the token, up to a point. It
-- is the same for a StartTransaction that is sent again. If its worker died and
-- another one asks again, the answer that was taken is the answer to both.

local KEEP_DONE = 86400 * 1000         -- ms that a finished command is kept
local KEEP_SESSION = 30 * 86400 * 1000 -- ms that the fence of an absent charge point is kept
local KEEP_CURSOR = 90 * 86400 * 1000
local KEEP_INBOX = 600 * 1000
local KEEP_QUESTION = 3600 * 1000
local INBOX_MAX = 20000
local QUEUE_MAX = 100
local PAYLOAD_MAX = 131072
local DEADLINE_MAX = 30 * 86400 * 1000
local GRACE = 30 * 1000 -- ms after the CALL's timeout in which the owner must call finish
local FUTURE = 2000000  -- us; a generation that is further ahead of the clock is not used
local function call(...) return redis.call(...) end -- redis.call does not exist while the library is loaded

local function fail(...) return redis.error_reply('ERR ' .. string.format(...)) end
local function int(n) return string.format('%.0f', n) end

-- The time in microseconds. It does not change while a function runs.
local function now_us()
  local t = call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- The CRC16 (XMODEM) from which Redis Cluster computes the slot of a key.
local function crc16(s)
  local crc = 0
  for i = 1, #s do
    crc = bit.bxor(crc, bit.lshift(s:byte(i), 8))
    for _ = 1, 8 do
      crc = bit.lshift(crc, 1)
      if crc >= 0x10000 then crc = bit.bxor(crc, 0x11021) end
    end
  end
  return crc
end

local STREAM = PREFIX .. ':events:'

-- The identity, its stream and the names of its keys. The key of a function may be
-- the identity alone, or the stream in braces and the identity, from which a Redis
-- Cluster can find the node: {ocppd:events:3}CP1.
local function place(key)
  local n, id = nil, key
  if key:sub(1, #STREAM + 1) == '{' .. STREAM then
    n, id = key:sub(#STREAM + 2):match('^(%d+)}(.*)$')
  end
  -- An identity that looks like such a key could not be distinguished from one.
  if not id or id == '' or #id > 48 or id:find('[%c/]') or id:sub(1, #STREAM + 1) == '{' .. STREAM then
    return nil, fail('%q is not the identity of a charge point', key)
  end
  local shard = SHARDS == 1 and 0 or crc16(id) % SHARDS
  local stream = STREAM .. shard
  if n and tonumber(n) ~= shard then
    return nil, fail('%s is in another shard: the key is {%s}%s', id, stream, id)
  end
  local p = {id = id, stream = stream, S = '{' .. stream .. '}:'}
  p.cp = p.S .. 'cp:' .. id
  p.queue = p.S .. 'queue:' .. id
  p.auth = p.S .. 'auth:' .. id
  p.due = p.S .. 'due'
  local there = redis.pcall('EXISTS', p.cp)
  if type(there) == 'table' and there.err then
    return nil, fail('this node of the cluster does not hold %s: use {%s}%s as the key', id, stream, id)
  end
  return p
end

-- The same for a whole shard; the key is its stream.
local function shard_place(key)
  return {stream = key, S = '{' .. key .. '}:', due = '{' .. key .. '}:due'}
end

local function at(p, id) -- another charge point of the same shard
  return {id = id, stream = p.stream, S = p.S, due = p.due, cp = p.S .. 'cp:' .. id, queue = p.S .. 'queue:' .. id}
end

local ESCAPE = {['"'] = '\\"', ['\\'] = '\\\\'}
local function quote(s)
  return '"' .. s:gsub('[%c"\\]', function(c)
    return ESCAPE[c] or string.format('\\u%04x', c:byte())
  end) .. '"'
end

-- Days from 1970 to a date. The formula counts years from March.
local function days(y, m, d)
  if m <= 2 then y, m = y - 1, m + 12 end
  return 365 * y + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400)
    + math.floor((153 * (m - 3) + 2) / 5) + d - 719469
end

local function rfc3339(ms)
  local day = math.floor(ms / 86400000)
  local y = 1970 + math.floor(day / 365.2425)
  if days(y, 1, 1) > day then y = y - 1 elseif days(y + 1, 1, 1) <= day then y = y + 1 end
  local m = 12
  while days(y, m, 1) > day do m = m - 1 end
  local s = math.floor(ms / 1000) % 86400
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', y, m, day - days(y, m, 1) + 1,
    math.floor(s / 3600), math.floor(s / 60) % 60, s % 60, ms % 1000)
end

local UNIT = {ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000}
-- Milliseconds since 1970 of a text such as "90s", which counts from now, or of an
-- instant in RFC 3339; nil if it is neither.
local function instant(text, now)
  local n, unit = text:match('^(%d+)(%a+)$')
  if n and UNIT[unit] and #n < 10 then return now + tonumber(n) * UNIT[unit] end
  local y, m, d, H, M, s, rest = text:match('^(%d%d%d%d)-(%d%d)-(%d%d)[Tt](%d%d):(%d%d):(%d%d)(.*)$')
  if not y then return nil end
  local fraction, zone = rest:match('^%.(%d+)(.+)$')
  zone = zone or rest
  local ms = (days(tonumber(y), tonumber(m), tonumber(d)) * 86400 + H * 3600 + M * 60 + s) * 1000
  if fraction then ms = ms + math.floor(tonumber('0.' .. fraction) * 1000) end
  if zone == 'Z' or zone == 'z' then return ms end
  local sign, zh, zm = zone:match('^([+-])(%d%d):(%d%d)$')
  if not sign then return nil end
  return ms - (sign .. '1') * (zh * 60 + zm) * 60000
end

--------------------------------------------------------------- sessions

local SESSION = {'epoch', 'owner', 'inc', 'state', 'generation', 'err', 'inflight', 'protocol', 'since', 'addr',
  'seen', 'closed', 'reason'}

local function session(p)
  local v = call('HMGET', p.cp, unpack(SESSION))
  local s = {}
  for i, name in ipairs(SESSION) do s[name] = v[i] or nil end
  s.epoch = tonumber(s.epoch or 0)
  -- A session is online if its state is, and if its owner is alive and still the same process.
  s.online = s.state == 'online' and call('GET', p.S .. 'owner:' .. s.owner) == s.inc
  return s
end

local function notify(p, owner, ...)
  local inbox = p.S .. 'inbox:' .. owner
  call('XADD', inbox, 'MAXLEN', '~', INBOX_MAX, '*', ...)
  call('PEXPIRE', inbox, KEEP_INBOX)
end

local function wake(p, s) notify(p, s.owner, 'what', 'command', 'identity', p.id) end

--------------------------------------------------------------- commands

local COMMAND = {'state', 'action', 'payload', 'deadline', 'ifOffline', 'idempotent', 'created', 'sent', 'epoch',
  'outcome', 'detail', 'done', 'node', 'due', 'tried'}

local function command(p, commandId)
  local key = p.S .. 'cmd:' .. p.id .. '/' .. commandId
  local v = call('HMGET', key, unpack(COMMAND))
  if not v[1] then return nil end
  local c = {id = commandId, key = key}
  for i, name in ipairs(COMMAND) do c[name] = v[i] or nil end
  return c
end

-- What ocppd_call, ocppd_command and ocppd_cancel return.
local function describe(p, c)
  local t = {'{"commandId":', quote(c.id), ',"chargePointId":', quote(p.id), ',"action":', quote(c.action),
    ',"state":"', c.state, '"'}
  local function add(name, value)
    if value then t[#t + 1] = ',"' .. name .. '":' .. value end
  end
  local function time(ms) return ms and '"' .. rfc3339(tonumber(ms)) .. '"' end
  add('outcome', c.outcome and '"' .. c.outcome .. '"')
  if c.detail and c.detail ~= '' then t[#t + 1] = ',' .. c.detail end
  add('createdAt', time(c.created))
  add('deadline', c.deadline and time(c.deadline))
  add('sentAt', time(c.sent))
  add('doneAt', time(c.done))
  t[#t + 1] = '}'
  return table.concat(t)
end

local function error_detail(code, text)
  return '"error":{"code":"' .. code .. '","description":' .. quote(text) .. ',"details":{}}'
end

local LOST = error_detail('ConnectionLost',
  'the connection or its gateway was lost after the command may have been sent')
-- Outcomes of commands that were not sent.
local UNSENT = {offline = true, expired = true, invalid = true}

local events = 0 -- makes the ids of events of the same microsecond differ
-- The only function that makes a command `done`. It changes the state, the due
-- set, the queue and the stream. detail is the member that belongs to the outcome,
-- as JSON text: "payload":{...} or "error":{...}, or empty. The command must not
-- be done yet. A command that was queued again after it may have been sent (tried)
-- may have been executed, so it does not end with an outcome of UNSENT.
local function settle(p, s, c, us, outcome, detail, by)
  local now = math.floor(us / 1000)
  if c.tried and UNSENT[outcome] then
    outcome = 'uncertain'
    if detail == '' then detail = LOST end
  end
  events = (events + 1) % 1000000
  local id = by.eventId or string.format('%016x-r%s-%d', us, p.stream:match('%d+$'), events)
  local took = by.duration or (c.sent and int(math.max(0, now - tonumber(c.sent)))) or '0'
  local body = '{"commandId":' .. quote(c.id) .. ',"action":' .. quote(c.action) .. ',"outcome":"' .. outcome .. '"'
    .. (detail ~= '' and ',' .. detail or '') .. ',"durationMs":' .. took .. '}'
  if c.state == 'queued' then call('LREM', p.queue, 1, c.id) end
  if s.inflight == c.id then
    call('HDEL', p.cp, 'inflight')
    s.inflight = nil
  end
  c.state, c.outcome, c.detail, c.done = 'done', outcome, detail, now
  call('HSET', c.key, 'state', 'done', 'action', c.action, 'outcome', outcome, 'detail', detail, 'done', now)
  call('HDEL', c.key, 'payload')
  call('PEXPIRE', c.key, KEEP_DONE)
  call('ZREM', p.due, p.id .. '/' .. c.id)
  call('XADD', p.stream, '*', 'eventId', id, 'eventType', 'command.response', 'chargePointId', p.id,
    'gatewayId', by.node or '', 'timestamp', by.timestamp or rfc3339(now),
    'generation', int(by.generation or s.epoch), 'protocol', s.protocol or '', 'messageId', by.messageId or '', 'action', c.action,
    'payload', body)
end

local function queue_again(p, s, c, unsent)
  call('LPUSH', p.queue, c.id)
  call('HSET', c.key, 'state', 'queued', 'due', c.deadline)
  if not unsent then
    call('HSET', c.key, 'tried', 'yes')
    c.tried = 'yes'
  end
  call('HDEL', c.key, 'sent', 'epoch')
  call('ZADD', p.due, c.deadline, p.id .. '/' .. c.id)
  if s.inflight == c.id then
    call('HDEL', p.cp, 'inflight')
    s.inflight = nil
  end
  c.state, c.sent = 'queued', nil
end

-- Ends or queues again a command in state `sent` whose answer will not come.
-- here: the charge point is connected, or is being connected. unsent: the command
-- certainly never left.
local function lost(p, s, c, us, here, unsent, by)
  local again = (unsent or c.idempotent == 'yes') and (here or c.ifOffline == 'wait')
  if again and us < tonumber(c.deadline) * 1000 then
    queue_again(p, s, c, unsent)
  elseif unsent then
    settle(p, s, c, us, again and 'expired' or 'offline', '', by)
  else
    settle(p, s, c, us, 'uncertain', LOST, by)
  end
end

local OPTION = {
  commandId = function(v) return #v <= 64 and v:find('^[\33-\126]+$'), '1 to 64 printable characters without blanks' end,
  deadline = function(v, now) return instant(v, now), 'a time like "90s" or "2h", or an instant like "2026-01-31T12:00:00Z"' end,
  ifOffline = function(v) return v == 'fail' or v == 'wait', '"fail" or "wait"' end,
  idempotent = function(v) return v == 'yes' or v == 'no', '"yes" or "no"' end,
}

-- FCALL ocppd_call 1 IDENTITY OPTIONS ACTION PAYLOAD
local function ocppd_call(keys, args)
  local p, wrong = place(keys[1] or '')
  if not p then return wrong end
  if #args ~= 3 then return fail('%s_call 1 IDENTITY OPTIONS ACTION PAYLOAD: %d arguments instead of 3', PREFIX, #args) end
  local us = now_us()
  local now = math.floor(us / 1000)
  local ok, o = pcall(cjson.decode, args[1] == '' and '{}' or args[1])
  if not ok or type(o) ~= 'table' then return fail('the options are not a JSON object; without options, write {}') end
  for name, value in pairs(o) do
    if not OPTION[name] then
      return fail('unknown option %s; there are commandId, deadline, ifOffline, idempotent', tostring(name))
    end
    local good, right = false, nil
    if type(value) == 'string' then good, right = OPTION[name](value, now) else right = 'a string' end
    if not good then
      if type(value) == 'string' then right = select(2, OPTION[name](value, now)) end
      return fail('option %s: %s; it is %s', name, tostring(value), right)
    end
  end
  local action, payload = args[2], args[3]
  if not action:find('^%a%w*$') or #action > 64 then return fail('%q is not the name of an OCPP action', action) end
  if payload == '' then payload = '{}' end
  if #payload > PAYLOAD_MAX then return fail('the payload has %d bytes; at most %d', #payload, PAYLOAD_MAX) end
  if not payload:find('^%s*{.*}%s*$') then return fail('the payload is not a JSON object; for an empty one, write {}') end

  local digest = redis.sha1hex(action .. ' ' .. payload)
  if o.commandId then
    local c = command(p, o.commandId)
    if c then
      if call('HGET', c.key, 'digest') ~= digest then
        return fail('commandId %s was used for another command; a new command needs a new one', c.id)
      end
      return describe(p, c)
    end
  end
  local id = o.commandId or string.format('%016x-%s', us, redis.sha1hex(p.id .. call('INCR', p.S .. 'drawn')):sub(1, 8))
  local wait = o.ifOffline or 'fail'
  local deadline = o.deadline and instant(o.deadline, now) or now + (wait == 'wait' and 86400000 or 60000)
  deadline = math.min(deadline, now + DEADLINE_MAX)
  local s = session(p)
  local c = {id = id, key = p.S .. 'cmd:' .. p.id .. '/' .. id, state = 'new', action = action, deadline = int(deadline),
    ifOffline = wait, idempotent = o.idempotent or 'no', created = int(now)}
  call('HSET', c.key, 'state', 'new', 'digest', digest, 'action', action, 'payload', payload, 'deadline', c.deadline,
    'ifOffline', wait, 'idempotent', c.idempotent, 'created', c.created)
  if not s.online and wait == 'fail' then
    settle(p, s, c, us, 'offline', '', {})
  elseif deadline <= now then
    settle(p, s, c, us, 'expired', '', {})
  elseif call('LLEN', p.queue) >= QUEUE_MAX then
    settle(p, s, c, us, 'invalid', error_detail('QueueFull', QUEUE_MAX .. ' commands wait for this charge point'), {})
  else
    c.state = 'queued'
    call('HSET', c.key, 'state', 'queued')
    call('RPUSH', p.queue, id)
    call('ZADD', p.due, c.deadline, p.id .. '/' .. id)
    if s.online then wake(p, s) end
  end
  return describe(p, c)
end

-- FCALL ocppd_command 1 IDENTITY COMMANDID
local function ocppd_command(keys, args)
  local p, wrong = place(keys[1] or '')
  if not p then return wrong end
  local c = command(p, args[1] or '')
  return c and describe(p, c) or false
end

-- FCALL ocppd_cancel 1 IDENTITY COMMANDID: a command that still waits ends as
-- `expired`, or as `uncertain` if it was queued again after it may have been sent.
-- A command that was sent is not changed.
local function ocppd_cancel(keys, args)
  local p, wrong = place(keys[1] or '')
  if not p then return wrong end
  local c = command(p, args[1] or '')
  if not c then return false end
  if c.state == 'queued' then
    settle(p, session(p), c, now_us(), 'expired', error_detail('Cancelled',
      c.tried and 'it was cancelled before it was sent again' or 'it was cancelled before it was sent'), {})
  end
  return describe(p, c)
end

-- FCALL ocppd_commands 1 IDENTITY: the command in flight and those that wait,
-- in order, as a JSON array.
local function ocppd_commands(keys)
  local p, wrong = place(keys[1] or '')
  if not p then return wrong end
  local t = {}
  local function add(id)
    local c = id and command(p, id)
    if c then t[#t + 1] = describe(p, c) end
  end
  add(session(p).inflight)
  for _, id in ipairs(call('LRANGE', p.queue, 0, -1)) do add(id) end
  return '[' .. table.concat(t, ',') .. ']'
end

local function describe_session(p, s)
  local node, worker = s.owner:match('^(.*)/(%d+)$')
  local state = s.online and 'online' or s.state == 'online' and 'lost' or 'offline'
  local function time(ms) return tonumber(ms) and '"' .. rfc3339(tonumber(ms)) .. '"' or 'null' end
  return string.format('{"chargePointId":%s,"state":"%s","node":%s,"worker":%s,"epoch":%s,"protocol":%s,'
    .. '"remoteAddress":%s,"since":%s,"lastSeen":%s,"closed":%s,"reason":%s,"queued":%d,"inFlight":%s}',
    quote(p.id), state, quote(node or ''), worker or '0', int(s.epoch), quote(s.protocol or ''), quote(s.addr or ''),
    time(s.since), time(s.seen), state == 'offline' and time(s.closed) or 'null',
    state == 'offline' and s.reason and quote(s.reason) or 'null', call('LLEN', p.queue),
    s.inflight and quote(s.inflight) or 'null')
end

-- FCALL ocppd_session 1 IDENTITY
local function ocppd_session(keys)
  local p, wrong = place(keys[1] or '')
  if not p then return wrong end
  local s = session(p)
  return s.epoch ~= 0 and describe_session(p, s) or false
end

-- FCALL ocppd_sessions 1 STREAM CURSOR COUNT: a part of the online sessions of a
-- shard. Returns {next cursor, JSON array}. The first cursor is 0; the sessions are
-- complete when the returned cursor is 0.
local function ocppd_sessions(keys, args)
  local n = (keys[1] or ''):sub(1, #STREAM) == STREAM and tonumber(keys[1]:sub(#STREAM + 1))
  if not n or n >= SHARDS or keys[1] ~= STREAM .. int(n) then
    return fail('%q is not a stream of the fleet: the key is %s0 to %s%d', keys[1] or '', STREAM, STREAM, SHARDS - 1)
  end
  local cursor, count = args[1] or '0', args[2] or '1000'
  if not cursor:find('^%d+$') or not count:find('^[1-9]%d?%d?%d?$') then
    return fail('%s_sessions 1 STREAM CURSOR COUNT: CURSOR is 0 or a cursor that was returned, COUNT is 1 to 9999', PREFIX)
  end
  local p = shard_place(keys[1])
  local head, t = p.S .. 'cp:', {}
  local got = call('SCAN', cursor, 'MATCH', head .. '*', 'COUNT', count)
  for _, k in ipairs(got[2]) do
    local q = at(p, k:sub(#head + 1))
    local s = session(q)
    if s.online then t[#t + 1] = describe_session(q, s) end
  end
  return {got[1], '[' .. table.concat(t, ',') .. ']'}
end

--------------------------------------------------------------- questions

-- The checks of the platform's answers. A function cannot check everything; the
-- gateway checks the rest. The text that follows this file in the library fills in
-- ANSWERS[PROTOCOL][ACTION]; it is made from the message schemas and uses the
-- checks below. A check returns nil, or what is wrong and, for an object, the name
-- of the field.
local ANSWERS = {}

local function any() end

-- An object with a vendorId; its other members are not checked.
local function custom(v)
  if type(v) ~= 'table' or #v > 0 then return 'it is not an object' end
  local id = v.vendorId
  if type(id) ~= 'string' or #id:gsub('[\128-\191]', '') > 255 then
    return 'it has no vendorId of at most 255 characters'
  end
end

local function boolean(v)
  if type(v) ~= 'boolean' then return 'it is neither true nor false' end
end

local function one_of(...)
  local words = {...}
  return function(v)
    for _, w in ipairs(words) do if v == w then return nil end end
    return 'it is not one of ' .. table.concat(words, ', ')
  end
end

local function text(max)
  return function(v)
    if type(v) ~= 'string' then return 'it is not a string' end
    if v:find('\0', 1, true) then return 'it holds a NUL' end
    if max and #v:gsub('[\128-\191]', '') > max then return 'it is longer than ' .. max .. ' characters' end
  end
end

local uri = text()

local function number(least, most)
  return function(v)
    if type(v) ~= 'number' then return 'it is not a number' end
    if least and (v < least or v > most) then return 'it is not from ' .. least .. ' to ' .. most end
  end
end

-- INTEGERS has the checks of integers. fractions has the members of the answer that are numbers with a fraction or
-- an exponent, such as 1.0, because the decoded number does not show that.
local INTEGERS, fractions = {}, {}

local function integer(least, most)
  local function check(v)
    if type(v) ~= 'number' or v ~= math.floor(v) then return 'it is not an integer' end
    if v < -2147483648 or v > 2147483647 then return 'it is not in the range of 32 bits' end
    return number(least, most)(v)
  end
  INTEGERS[check] = true
  return check
end

-- Finds what the decoded JSON does not show: fills in fractions, and returns the name of a member that occurs twice.
local function hidden(json)
  local objects, twice, i = {{}}, nil, 1
  fractions = {}
  while true do
    local at = json:find('["{}%[%]]', i)
    if not at then return twice end
    local ch = json:sub(at, at)
    i = at + 1
    if ch == '{' or ch == '[' then
      objects[#objects + 1] = {}
    elseif ch ~= '"' then
      objects[#objects] = nil
    else
      local stop = at
      repeat
        stop = json:find('"', stop + 1, true)
      until #json:sub(at + 1, stop - 1):match('\\*$') % 2 == 0
      local name = json:sub(at + 1, stop - 1)
      local value = json:match('^%s*:%s*(%S*)', stop + 1)
      i = stop + 1
      if value then
        local seen = objects[#objects]
        twice = twice or seen[name] and name
        seen[name] = true
        if value:find('^-?%d+[.eE]') then fractions[name] = true end
      end
    end
  end
end

local function datetime(v)
  if type(v) ~= 'string' or not instant(v, 0) or v:find('^%d+%a+$') then
    return 'it is not a time such as 2026-01-31T12:00:00Z'
  end
end

-- {name = check}; a name with ? may be absent.
local function object(members)
  return function(v)
    if type(v) ~= 'table' or #v > 0 then return 'it is not an object' end
    for name, check in pairs(members) do
      local optional = name:sub(-1) == '?'
      if optional then name = name:sub(1, -2) end
      local wrong = v[name] == nil and not optional and 'it is missing' or v[name] ~= nil and check(v[name])
      if not wrong and v[name] ~= nil and INTEGERS[check] and fractions[name] then wrong = 'it is not an integer' end
      if wrong then return wrong, name end
    end
    for name in pairs(v) do
      if not members[name] and not members[tostring(name) .. '?'] then return 'the message has no such field', tostring(name) end
    end
  end
end

local function list(check, least, most)
  return function(v)
    if type(v) ~= 'table' or next(v) ~= nil and #v == 0 then return 'it is not a list' end
    if #v < least then return 'it is not a list with elements' end
    if #v > (most or #v) then return 'it has more than ' .. most .. ' elements' end
    for _, e in ipairs(v) do
      local wrong = check(e)
      if wrong then return wrong end
    end
  end
end

-- The most bytes of the answer to a StartTransaction or TransactionEvent (registry_starts.h).
local START_MAX = 190

-- The reason for which an answer cannot be used; nil if it can.
local function useless(action, protocol, payload)
  local ok, v = pcall(cjson.decode, payload)
  if not ok then return 'it is not JSON' end
  local check = (ANSWERS[protocol] or {})[action]
  local wrong, name = nil, hidden(payload)
  if name then return name .. ': it occurs twice' end
  if check then wrong, name = check(v) end
  if wrong then return name and name .. ': ' .. wrong or wrong end
  if payload:find('[\r\n]') then return 'it must be JSON on one line' end
  if (action == 'StartTransaction' or action == 'TransactionEvent') and #payload > START_MAX then
    return 'it has ' .. #payload .. ' bytes; the answer to a ' .. action .. ' is stored, and may have ' .. START_MAX
  end
end

local QUESTION = {'state', 'token', 'former', 'action', 'protocol', 'payload'}

local function question(p, token)
  local id = token:match('^.+/%d+/[^/]+/([^/.]+)[^/]*$')
  if not id then return nil end
  local q = {key = p.S .. 'ask:' .. p.id .. '/' .. id}
  local v = call('HMGET', q.key, unpack(QUESTION))
  for i, name in ipairs(QUESTION) do q[name] = v[i] or nil end
  return q
end

local function set_question(q, ...)
  call('HSET', q.key, ...)
  call('PEXPIRE', q.key, KEEP_QUESTION)
end

local function deliver(p, what, token, payload)
  local owner, inc = token:match('^(.+/%d+)/([^/]+)/[^/]+$')
  if call('GET', p.S .. 'owner:' .. owner) ~= inc then return false end
  notify(p, owner, 'what', what, 'identity', p.id, 'token', token, 'payload', payload)
  return true
end

-- FCALL ocppd_answer 1 IDENTITY TOKEN PAYLOAD. Returns
-- taken         PAYLOAD is the answer to the CALL
-- late          the CALL has its answer already, or its worker has ended
-- invalid: WHY  PAYLOAD cannot be used; another answer may follow
-- unknown       there is no such question of the identity, or it was asked more
--               than KEEP_QUESTION ago
local function ocppd_answer(keys, args)
  local p, wrong = place(keys[1] or '')
  if not p then return wrong end
  local token, payload = args[1] or '', args[2] or ''
  local q = question(p, token)
  if not q then return fail('%q is not a reply token; pass the replyToken of an event', token) end
  if #payload > PAYLOAD_MAX or not payload:find('^%s*{.*}%s*$') then
    return 'invalid: it is not a JSON object of at most ' .. PAYLOAD_MAX .. ' bytes'
  end
  if not q.state then return 'unknown' end
  if token ~= q.token and token ~= q.former or q.state ~= 'open' then return 'late' end
  local why = useless(q.action, q.protocol, payload)
  if why then return 'invalid: ' .. why end
  if not deliver(p, 'answer', q.token, payload) then return 'late' end
  set_question(q, 'state', 'taken', 'payload', payload)
  return 'taken'
end

--------------------------------------------------------------- credentials

local KEY = '^sha256:' .. ('%x'):rep(32) .. ':' .. ('%x'):rep(64) .. '$'

-- FCALL ocppd_auth 1 IDENTITY KEY: sets the only key of a charge point, or removes
-- its keys if KEY is `none`. Returns 1, or 0 if there was no key to remove.
local function ocppd_auth(keys, args)
  local p, wrong = place(keys[1] or '')
  if not p then return wrong end
  if #args ~= 1 then return fail('%s_auth 1 IDENTITY KEY: %d arguments instead of 1', PREFIX, #args) end
  if args[1] ~= 'none' and not args[1]:find(KEY) then
    return fail('the key is sha256:SALT:HASH with 32 and 64 hexadecimal digits, or none; `ocppctl auth hash` makes it')
  end
  local was = call('DEL', p.auth)
  if args[1] == 'none' then return was end
  call('HSET', p.auth, 'key', args[1])
  return 1
end
