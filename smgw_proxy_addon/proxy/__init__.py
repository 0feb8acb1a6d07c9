"""How a request gets its answer: checked, rewritten, asked for, or shared with another request."""
