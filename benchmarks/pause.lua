-- For wrk: each client waits for so many milliseconds between an answer and its next request.
function delay() return 10 end
