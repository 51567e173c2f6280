-- Replays raw requests from a file (args[1]): "<length>\n<bytes>" each; wrk itself then formats nothing.
local requests, next_one = {}, 0

function init(args)
   local file = assert(io.open(args[1], "rb"))
   while true do
      local length = file:read("*l")
      if not length then break end
      requests[#requests + 1] = file:read(tonumber(length))
   end
   file:close()
end

function request()
   next_one = next_one % #requests + 1
   return requests[next_one]
end

function done(summary, latency, _)
   local e = summary.errors
   io.write(string.format(
      "RESULT %d %d %d %.1f %.1f\n", summary.requests, summary.duration,
      e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
