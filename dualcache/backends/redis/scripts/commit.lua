-- Puts a value where the key still holds what the load started from.
-- KEYS: 1 the key. ARGV: 1 the expected header (the first bytes of what must be there),
-- 2 the new content, 3 its time to live in ms, 0 for ever.
-- Returns 1 if it was put, 0 if the key holds something else.
-- Atomic, because an invalidation between the compare and the set would be undone by the set.
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then
  return 0
end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
return 1
