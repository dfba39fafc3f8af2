"""The command line: parse, call, print (spec 1, section 7). What a command does is written elsewhere."""
