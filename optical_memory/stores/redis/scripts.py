"""Lua scripts that run on the server, each atomically.

Scripts of a session begin by comparing its log with the length in `meta`: a session that lost one of the two answers with an error, never
from the other. Times are the server's, so that clients' clocks do not matter. An error of a script begins with one of
`WORDS`. A call costs more than anything else that a script does, so the common way makes few.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

__all__ = [
    "APPEND",
    "BIND",
    "CACHE_PUT",
    "CALLS",
    "CLAIM",
    "ERASE",
    "ERASE_SESSION",
    "EXPIRE",
    "LAYOUT_VERSION",
    "MIGRATE",
    "PIN",
    "READ",
    "RELEASE",
    "REPLACE",
    "SEALED_LAYOUT",
    "STATE",
    "SWAP",
    "WORDS",
    "Script",
]

WORDS = ("ABSENT", "CORRUPTED", "VERSION", "CONFLICT", "SEALED", "PLACES")
LAYOUT_VERSION = 2  # 1 had a key each for ids, calls and pins, and named a tenant's sessions in a set
SEALED_LAYOUT = 3  # the same, with `since`: it holds records sealed for their places, and earlier releases leave it alone


class Script(NamedTuple):
    """Lua, and the name under which a server keeps it."""

    text: str
    sha: str


def _script(text: str) -> Script:
    text = text.replace("$LAYOUT", str(LAYOUT_VERSION)).replace("$SEALED", str(SEALED_LAYOUT))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


# KEYS: meta, log, cache. state[7] is the number from which on all records are bound. $FIELD stands for what else of `meta` a script wants
# to know, as state[8].
_STATE = """
local call, meta, log = redis.call, KEYS[1], KEYS[2]
local state = call('HMGET', meta, 'v', 'length', 'ttl', 'mode', 'ends', 'pins', 'since', $FIELD)
local length, held = tonumber(state[2] or '0'), call('LLEN', log)
local known = state[1] == '$LAYOUT' or state[1] == '$SEALED' and state[7]
if state[2] and not known then return redis.error_reply('VERSION ' .. (state[1] or '1')) end
if held ~= length then return redis.error_reply('CORRUPTED ' .. held .. ' ' .. length) end
"""
PRELUDE = _STATE.replace("$FIELD", "'generation'")

# For scripts that change the expiry of a session. `touch` gives all its keys one expiry, and pages none that is later.
EXPIRY = """
local function milliseconds()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function live(ttl, mode)
  if ttl == '' then
    state[3] = false
    call('HDEL', meta, 'ttl', 'mode', 'ends')
    return
  end
  state[3], state[4], state[5] = ttl, mode, string.format('%.0f', milliseconds() + ttl)
  call('HSET', meta, 'ttl', ttl, 'mode', mode, 'ends', state[5])
end
local function touch()
  local ends = state[5]
  if state[4] ~= 'fixed' then ends = string.format('%.0f', milliseconds() + state[3]) end
  call('PEXPIREAT', meta, ends)
  call('PEXPIREAT', log, ends)
  local left, pages = call('PTTL', meta), call('PTTL', KEYS[3])
  if left > 0 and (pages == -1 or pages > left) then call('PEXPIRE', KEYS[3], left) end
end
"""

# The pins of a session are few: their numbers, in order, each after a blank.
PINS = """
local function pin(number, pinned)
  local numbers, before = {}, false
  for each in string.gmatch(state[6] or '', '%d+') do
    each = tonumber(each)
    if each == number then before = true else numbers[#numbers + 1] = each end
  end
  if pinned == before then return end
  if pinned then numbers[#numbers + 1] = number end
  table.sort(numbers)
  state[6] = #numbers > 0 and ' ' .. table.concat(numbers, ' ') or false
  if state[6] then call('HSET', meta, 'pins', state[6]) else call('HDEL', meta, 'pins') end
end
"""

# Records are sealed for a number before the log gives it. If it gives others, nothing is stored, and the error says for which to seal.
PLACES = """
if ARGV[6] == '' and state[1] == '$SEALED' then return redis.error_reply('SEALED') end
if ARGV[6] ~= '' then
  local since = state[7] or string.format('%d', length + 1)
  local free, numbers, fresh, wrong = length, {}, {}, since ~= ARGV[6]
  while at <= count do
    local number = 0
    if not fresh[ARGV[at]] and call('HEXISTS', meta, ARGV[at]) == 0 then
      free = free + 1
      number, fresh[ARGV[at]] = free, true
      if tonumber(ARGV[at + 2]) ~= number then wrong = true end
    end
    numbers[#numbers + 1] = number
    at = at + 5 + ARGV[at + 4]
  end
  if wrong and free > length then return redis.error_reply('PLACES ' .. since .. ' ' .. table.concat(numbers, ' ')) end
  at = 7
end
"""

# ARGV: a new generation, or '' if the session must be there; the length expected, or ''; ttl of pages in ms, or ''; ttl of a new
# session in ms, or ''; its mode; the number from which on all records are bound, or '' if none is; then for each turn: digest, record, the
# number for which it is sealed, '1' if pinned, number of calls, digests of calls. Answers with the number of the first turn if all are new;
# else for each turn with its number, 1 if it is pinned, and the record if it was there before.
APPEND = _script(
    _STATE.replace("$FIELD", "ARGV[7]")
    + """
local absent, count, at = not state[2], #ARGV, 7
if absent and ARGV[1] == '' then return redis.error_reply('ABSENT') end
if ARGV[2] ~= '' and length ~= tonumber(ARGV[2]) then
  while at <= count do
    if call('HEXISTS', meta, ARGV[at]) == 0 then return redis.error_reply('CONFLICT ' .. length) end
    at = at + 5 + ARGV[at + 4]
  end
  at = 7
end
"""
    + PLACES
    + """
local answers, before, noted, seen, pins, made = {}, length, {}, {}, {}, {}
known = state[8]
while at <= count do
  if known then
    answers[#answers + 1] = {tonumber(known), 0, call('LINDEX', log, known - 1)}
  else
    length = call('RPUSH', log, ARGV[at + 1])
    seen[ARGV[at]] = length
    noted[#noted + 1], noted[#noted + 2] = ARGV[at], length
    if ARGV[at + 3] == '1' then pins[#pins + 1] = length end
    for each = at + 5, at + 4 + ARGV[at + 4] do made[#made + 1] = ARGV[each] end
    answers[#answers + 1] = {length, 0, false}
  end
  at = at + 5 + ARGV[at + 4]
  if at <= count then known = seen[ARGV[at]] or call('HGET', meta, ARGV[at]) end
end
if length > before then
  for start = 1, #noted - 2000, 2000 do call('HSET', meta, unpack(noted, start, start + 1999)) end
  local rest = #noted - (#noted - 1) % 2000
  local time = call('TIME')
  call('HSET', meta, 'length', length, 'appended', time[1] .. string.format('%06d', time[2]), unpack(noted, rest))
end
if ARGV[6] ~= '' and not state[7] and length > before then call('HSET', meta, 'v', '$SEALED', 'since', ARGV[6]) end
for _, each in ipairs(made) do call('HINCRBY', meta, 'call ' .. each, 1) end
if ARGV[3] ~= '' then call('PEXPIRE', KEYS[3], ARGV[3]) end
if #pins > 0 then
"""
    + PINS
    + """
  for _, number in ipairs(pins) do pin(number, true) end
end
if absent or state[3] then
"""
    + EXPIRY
    + """
  if absent then
    call('HSET', meta, 'v', ARGV[6] == '' and '$LAYOUT' or '$SEALED', 'generation', ARGV[1])
    if ARGV[4] ~= '' then live(ARGV[4], ARGV[5]) end
  end
  if state[3] then touch() end
end
if length - before == #answers then return before + 1 end
for _, answer in ipairs(answers) do
  if string.find((state[6] or '') .. ' ', ' ' .. answer[1] .. ' ', 1, true) then answer[2] = 1 end
end
return answers
"""
)

# ARGV: first and last number, counted from 0. Answers with the length, records, and all numbers pinned.
READ = _script(
    PRELUDE
    + """
if not state[2] then return {0, {}, ''} end
"""
    + EXPIRY
    + """
if state[3] and state[4] == 'read' then touch() end
return {length, call('LRANGE', log, ARGV[1], ARGV[2]), state[6] or ''}
"""
)

# Answers with the length, what names the log's content so far (generation, turns erased), and all numbers pinned.
STATE = _script(PRELUDE + "return {length, state[8], call('HGET', meta, 'erased'), state[6] or ''}")

# ARGV: digests of calls. Answers with how many turns made each, nil for none.
CALLS = _script(
    PRELUDE
    + """
local names = {}
for _, each in ipairs(ARGV) do names[#names + 1] = 'call ' .. each end
return call('HMGET', meta, unpack(names))
"""
)

# ARGV: number, 1 or 0. Answers with 1 if there is such a turn, and the length.
PIN = _script(
    PRELUDE
    + EXPIRY
    + PINS
    + """
local record = call('LINDEX', log, ARGV[1] - 1)
if not record or record == '' then return {0, length} end
pin(tonumber(ARGV[1]), ARGV[2] == '1')
if state[3] then touch() end
return {1, length}
"""
)

# ARGV: for each turn: number, number of calls, digests of calls. Answers with the numbers that were there.
ERASE = _script(
    PRELUDE
    + PINS
    + """
local gone, at = {}, 1
while ARGV[at] do
  local record = call('LINDEX', log, ARGV[at] - 1)
  if record and record ~= '' then
    call('LSET', log, ARGV[at] - 1, '')
    pin(tonumber(ARGV[at]), false)
    for each = at + 2, at + 1 + ARGV[at + 1] do
      local name = 'call ' .. ARGV[each]
      if call('HINCRBY', meta, name, -1) < 1 then call('HDEL', meta, name) end
    end
    call('HINCRBY', meta, 'erased', 1)
    gone[#gone + 1] = tonumber(ARGV[at])
  end
  at = at + 2 + ARGV[at + 1]
end
return gone
"""
)

# A damaged session can be erased as well, so nothing is compared here. KEYS are all keys of any layout, the log the second of them.
ERASE_SESSION = _script(
    """
local gone, held = {}, redis.pcall('LRANGE', KEYS[2], 0, -1)
for index, record in ipairs(held.err and {} or held) do
  if record ~= '' then gone[#gone + 1] = index end
end
redis.call('DEL', unpack(KEYS))
return gone
"""
)

# ARGV: ttl in ms, '' for ever; append, read or fixed.
EXPIRE = _script(
    PRELUDE
    + EXPIRY
    + """
if not state[2] then return redis.error_reply('ABSENT') end
live(ARGV[1], ARGV[2])
if state[3] then touch() else call('PERSIST', meta) call('PERSIST', log) end
return 1
"""
)

# ARGV: number, the record that is there, the one that takes its place.
REPLACE = _script(
    PRELUDE
    + """
if call('LINDEX', log, ARGV[1] - 1) ~= ARGV[2] then return 0 end
call('LSET', log, ARGV[1] - 1, ARGV[3])
return 1
"""
)

# All records of the session are bound now.
BIND = _script(PRELUDE + "if state[2] then call('HSET', meta, 'v', '$SEALED', 'since', 1) end return 1")

# From layout 1. KEYS: meta, log, cache, ids, calls, pins. ARGV: a new generation for a session that was never given one.
MIGRATE = _script(
    """
local call, meta, log, ids, calls, pins = redis.call, KEYS[1], KEYS[2], KEYS[4], KEYS[5], KEYS[6]
local state = call('HMGET', meta, 'v', 'length')
if state[1] or not state[2] then return 0 end
local length, held = tonumber(state[2]), math.min(call('LLEN', log), call('HLEN', ids))
if held ~= length then return redis.error_reply('CORRUPTED ' .. held .. ' ' .. length) end
local function take(key, prefix)
  local pairs = call('HGETALL', key)
  for at = 1, #pairs, 2 do call('HSET', meta, prefix .. pairs[at], pairs[at + 1]) end
end
take(ids, '')
take(calls, 'call ')
local pinned = call('ZRANGE', pins, 0, -1)
if #pinned > 0 then call('HSET', meta, 'pins', ' ' .. table.concat(pinned, ' ')) end
call('HSETNX', meta, 'generation', ARGV[1])
call('HSET', meta, 'v', '$LAYOUT')
call('DEL', ids, calls, pins)
return 1
"""
)

# Begins and ends a script that writes to a cache. KEYS: cache, meta. ARGV[1]: ttl of pages in ms, or ''; ARGV[2]: '1' if it is sealed.
_FOR_SEALED = """
if ARGV[2] == '' and redis.call('HGET', KEYS[2], 'v') == '$SEALED' then return redis.error_reply('SEALED') end
"""
_LIVE_AS_LONG = """
local left, life = redis.call('PTTL', KEYS[2]), tonumber(ARGV[1])
if left > 0 and (not life or left < life) then life = left end
if life then redis.call('PEXPIRE', KEYS[1], life) end
return 1
"""

# ARGV[3] and on: names and values.
CACHE_PUT = _script(_FOR_SEALED + "for at = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end" + _LIVE_AS_LONG)

# ARGV[3] and on: name, 1 if nothing is to be there now, what is to be there, what takes its place. Answers with 0 if it was not there.
SWAP = _script(
    _FOR_SEALED
    + """
local held = redis.call('HGET', KEYS[1], ARGV[3])
if (ARGV[4] == '1' and held) or (ARGV[4] ~= '1' and held ~= ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[6])
"""
    + _LIVE_AS_LONG
)

# KEYS: claim. ARGV: holder, ms. The holder's own claim is renewed.
CLAIM = _script(
    """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)

# KEYS: claim. ARGV: holder.
RELEASE = _script("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0")
