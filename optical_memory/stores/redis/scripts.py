"""What runs on the server. A script runs alone there, so what it does is one step for everybody.

Scripts of the log take the six keys of `layout.keys` and begin with `PRELUDE`, which compares all parts of the log with what `meta` says
they hold: whatever lost one part answers with an error, never from the others. Times are the server's, so that clients' clocks do not
matter. What they say instead of an answer begins with one of `WORDS`.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

__all__ = [
    "APPEND",
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
    "STATE",
    "SWAP",
    "WORDS",
    "Script",
]

WORDS = ("ABSENT", "CORRUPTED", "VERSION", "CONFLICT")
LAYOUT_VERSION = 2  # 1 had no counts of calls and pins, and named a tenant's sessions in a set


class Script(NamedTuple):
    """Lua, and the name under which a server keeps it."""

    text: str
    sha: str


def _script(text: str) -> Script:
    text = text.replace("$LAYOUT", str(LAYOUT_VERSION))
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


# `touch` gives all keys of a session one end, and pages none that is later. It writes nothing where nothing expires.
PRELUDE = """
local meta, log, ids, calls, pins, cache = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local state = redis.call('HMGET', meta, 'v', 'length', 'calls', 'pins')
local length = tonumber(state[2] or '0')
local held = {redis.call('LLEN', log), redis.call('HLEN', ids), redis.call('HLEN', calls), redis.call('ZCARD', pins)}
local absent = not state[1] and held[1] + held[2] + held[3] + held[4] == 0
if not absent then
  if state[2] and (state[1] or '1') ~= '$LAYOUT' then return redis.error_reply('VERSION ' .. (state[1] or '1')) end
  local due = {length, length, tonumber(state[3] or '0'), tonumber(state[4] or '0')}
  for part = 1, 4 do
    if held[part] ~= due[part] then
      return redis.error_reply('CORRUPTED ' .. table.concat(held, ' ') .. ' of ' .. table.concat(due, ' '))
    end
  end
end
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local function shorten()
  local left, pages = redis.call('PTTL', meta), redis.call('PTTL', cache)
  if left > 0 and (pages == -1 or pages > left) then redis.call('PEXPIRE', cache, left) end
end
local function touch(reading)
  local life = redis.call('HMGET', meta, 'ttl', 'mode', 'ends')
  if not life[1] or (reading and life[2] ~= 'read') then return end
  local ends = life[3]
  if life[2] ~= 'fixed' then ends = string.format('%.0f', math.floor(clock() / 1000) + life[1]) end
  for part = 1, 5 do redis.call('PEXPIREAT', KEYS[part], ends) end
  shorten()
end
local function live(ttl, mode)
  if ttl == '' then redis.call('HDEL', meta, 'ttl', 'mode', 'ends') return end
  local ends = string.format('%.0f', math.floor(clock() / 1000) + ttl)
  redis.call('HSET', meta, 'ttl', ttl, 'mode', mode, 'ends', ends)
end
"""

# ARGV: a new generation, or '' if the session must be there; the length expected, or ''; ms that pages live, or ''; ms that a new session
# lives, or ''; its mode; then for each turn: digest, record, pinned, number of calls, digests of calls.
APPEND = _script(
    PRELUDE
    + """
if absent and ARGV[1] == '' then return redis.error_reply('ABSENT') end
if ARGV[2] ~= '' and length ~= tonumber(ARGV[2]) then
  local at = 6
  while ARGV[at] do
    if redis.call('HEXISTS', ids, ARGV[at]) == 0 then return redis.error_reply('CONFLICT ' .. length) end
    at = at + 4 + ARGV[at + 3]
  end
end
local answers, at, before = {}, 6, length
while ARGV[at] do
  local number, pinned, record = redis.call('HGET', ids, ARGV[at]), ARGV[at + 2] == '1', false
  if number then
    number = tonumber(number)
    record, pinned = redis.call('LINDEX', log, number - 1), redis.call('ZSCORE', pins, number)
  else
    number = redis.call('RPUSH', log, ARGV[at + 1])
    length = number
    redis.call('HSET', ids, ARGV[at], number)
    if pinned then redis.call('ZADD', pins, number, number) end
    for call = at + 4, at + 3 + ARGV[at + 3] do redis.call('HINCRBY', calls, ARGV[call], 1) end
  end
  answers[#answers + 1] = {number, pinned and 1 or 0, record}
  at = at + 4 + ARGV[at + 3]
end
if absent then
  redis.call('HSET', meta, 'v', '$LAYOUT', 'generation', ARGV[1])
  live(ARGV[4], ARGV[5])
end
if length > before then
  redis.call('HSET', meta, 'length', length, 'appended', string.format('%.0f', clock()),
    'calls', redis.call('HLEN', calls), 'pins', redis.call('ZCARD', pins))
end
touch(false)
if ARGV[3] ~= '' and redis.call('PEXPIRE', cache, ARGV[3]) == 1 then shorten() end
return answers
"""
)

# ARGV: first and last number, counted from 0, -1 for the end. Answers with the length, records, and numbers pinned.
READ = _script(
    PRELUDE
    + """
if absent then return {0, {}, {}} end
local last = tonumber(ARGV[2])
touch(true)
return {length, redis.call('LRANGE', log, ARGV[1], last),
  redis.call('ZRANGEBYSCORE', pins, ARGV[1] + 1, last < 0 and '+inf' or last + 1)}
"""
)

# Answers with the length, what names the log's content so far (generation, turns erased), the time of the last append, and all pins.
STATE = _script(
    PRELUDE
    + """
local about = redis.call('HMGET', meta, 'generation', 'erased', 'appended')
return {length, about[1], about[2], about[3], redis.call('ZRANGE', pins, 0, -1)}
"""
)

# ARGV: digests of calls. Answers with how many turns made each, nil for none.
CALLS = _script(PRELUDE + "if absent then return {} end return redis.call('HMGET', calls, unpack(ARGV))")

# ARGV: number, 1 or 0. Answers with 1 if there is such a turn, and the length.
PIN = _script(
    PRELUDE
    + """
local record = redis.call('LINDEX', log, ARGV[1] - 1)
if not record or record == '' then return {0, length} end
if ARGV[2] == '1' then redis.call('ZADD', pins, ARGV[1], ARGV[1]) else redis.call('ZREM', pins, ARGV[1]) end
redis.call('HSET', meta, 'pins', redis.call('ZCARD', pins))
touch(false)
return {1, length}
"""
)

# ARGV: for each turn: number, number of calls, digests of calls. Answers with the numbers that were there.
ERASE = _script(
    PRELUDE
    + """
local gone, at = {}, 1
while ARGV[at] do
  local record = redis.call('LINDEX', log, ARGV[at] - 1)
  if record and record ~= '' then
    redis.call('LSET', log, ARGV[at] - 1, '')
    redis.call('ZREM', pins, ARGV[at])
    for call = at + 2, at + 1 + ARGV[at + 1] do
      if redis.call('HINCRBY', calls, ARGV[call], -1) < 1 then redis.call('HDEL', calls, ARGV[call]) end
    end
    redis.call('HINCRBY', meta, 'erased', 1)
    gone[#gone + 1] = tonumber(ARGV[at])
  end
  at = at + 2 + ARGV[at + 1]
end
if #gone > 0 then redis.call('HSET', meta, 'calls', redis.call('HLEN', calls), 'pins', redis.call('ZCARD', pins)) end
return gone
"""
)

# A damaged session can be erased as well, so nothing is compared here. KEYS may be more than six: claims go too.
ERASE_SESSION = _script(
    """
local gone = {}
for index, record in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
  if record ~= '' then gone[#gone + 1] = index end
end
redis.call('DEL', unpack(KEYS))
return gone
"""
)

# ARGV: ms to live, '' for ever; append, read or fixed.
EXPIRE = _script(
    PRELUDE
    + """
if absent then return redis.error_reply('ABSENT') end
live(ARGV[1], ARGV[2])
if ARGV[1] == '' then for part = 1, 5 do redis.call('PERSIST', KEYS[part]) end else touch(false) end
return 1
"""
)

# ARGV: number, the record that is there, the one that takes its place.
REPLACE = _script(
    PRELUDE
    + """
if redis.call('LINDEX', log, ARGV[1] - 1) ~= ARGV[2] then return 0 end
redis.call('LSET', log, ARGV[1] - 1, ARGV[3])
return 1
"""
)

# From layout 1. ARGV: a new generation for a session that was never given one.
MIGRATE = _script(
    """
local meta, log, ids, calls, pins = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local state = redis.call('HMGET', meta, 'v', 'length')
if state[1] or not state[2] then return 0 end
local length, held = tonumber(state[2]), redis.call('LLEN', log)
local known = redis.call('HLEN', ids)
if held ~= length or known ~= length then
  local counts = redis.call('HLEN', calls) .. ' ' .. redis.call('ZCARD', pins)
  return redis.error_reply('CORRUPTED ' .. held .. ' ' .. known .. ' ' .. counts .. ' of ' .. length .. ' ' .. length .. ' ' .. counts)
end
redis.call('HSETNX', meta, 'generation', ARGV[1])
redis.call('HSET', meta, 'v', '$LAYOUT', 'calls', redis.call('HLEN', calls), 'pins', redis.call('ZCARD', pins))
return 1
"""
)

# Ends a script that has written to a cache. KEYS: cache, meta. ARGV[1]: ms that pages live, or ''.
_LIVE_AS_LONG = """
local left, life = redis.call('PTTL', KEYS[2]), tonumber(ARGV[1])
if left > 0 and (not life or left < life) then life = left end
if life then redis.call('PEXPIRE', KEYS[1], life) end
return 1
"""

# ARGV[2] and on: names and values.
CACHE_PUT = _script("for at = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1]) end" + _LIVE_AS_LONG)

# ARGV[2] and on: name, 1 if nothing is to be there now, what is to be there, what takes its place. Answers with 0 if it was not there.
SWAP = _script(
    """
local held = redis.call('HGET', KEYS[1], ARGV[2])
if (ARGV[3] == '1' and held) or (ARGV[3] ~= '1' and held ~= ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[5])
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
