# Makes C string literals of a text file: one literal a line, so that line numbers stay the same.
s/\\/\\\\/g
s/"/\\"/g
s/^/"/
s/$/\\n"/
