# Makes C string literals of an SQL file: one literal a line, without comments and empty lines.
s/[[:space:]]*--.*$//
/^[[:space:]]*$/d
s/\\/\\\\/g
s/"/\\"/g
s/^/"/
s/$/\\n"/
