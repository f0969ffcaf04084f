-- Has wrk send one request, read from a file, over and over: wrk -s replay.lua URL -- FILE
--
-- Where the request holds NUL bytes, each is replaced by eight hexadecimal digits that differ from one
-- request to the next. At the end one line of JSON is printed; times are in microseconds.

local parts = {}

local function digits(number)
   -- Multiplied by an odd constant modulo 2^32: every number once, no two neighbours alike.
   return string.format("%08x", (number * 2654435761) % 4294967296)
end

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   local text = file:read("*a")
   file:close()
   for part in (text .. "\0"):gmatch("(%Z*)%z") do
      parts[#parts + 1] = part
   end
   if #parts == 1 then
      -- Without a global `request`, wrk formats once and sends that without calling Lua again.
      wrk.format = function() return text end
   else
      local number = 0
      request = function()
         number = number + 1
         return table.concat(parts, digits(number))
      end
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '{"seconds": %.6f, "requests": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, ' ..
      '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
      summary.duration / 1e6, summary.requests, summary.bytes,
      latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
