# The table of postwake-event(5) from schema/sources.def:
#	awk -f man/fields.awk schema/sources.def
# tests/gate.sh compares it with what stands in the page between the lines 'begin' and 'end of fields'.
BEGIN {
	split("inj rej dly bnc dlv oob cpl uns r.inj r.rej r.tmp r.prm r.dlv", short, " ")
	printf ".TS\nl1"
	for (i = 1; i <= 13; i++)
		printf " c1"
	printf ".\nfield"
	for (i = 1; i <= 13; i++) {
		name = short[i]
		sub(/^r\./, "", name)
		printf "\t%s", name
	}
	print "\n_"
}
/^SOURCE\(/ {
	match($0, /\(.*,/)
	name = tolower(substr($0, RSTART + 1, RLENGTH - 2))
	match($0, /".*"/)
	letters = substr($0, RSTART + 1, RLENGTH - 2)
	gsub(/ /, "", letters)
	gsub(/n/, "\\-", letters)
	line = name
	for (i = 1; i <= length(letters); i++) {
		letter = substr(letters, i, 1)
		if (letter == "\\")
			letter = substr(letters, i++, 2)
		line = line "\t" (letter == "." ? "" : letter)
	}
	sub(/\t+$/, "", line)
	print line
}
# A NEVER row may go over two lines.
/^NEVER\(/ { never = "" }
/^NEVER\(/, /\)$/ {
	never = never $0
	if ($0 ~ /\)$/) {
		match(never, /\([A-Z_]+/)
		field[++fields] = tolower(substr(never, RSTART + 1, RLENGTH - 1))
		match(never, /".*"/)
		why[fields] = substr(never, RSTART + 1, RLENGTH - 2)
	}
}
END {
	print ".TE"
	print ".SH WHAT IS NEVER FILLED, AND WHY"
	for (i = 1; i <= fields; i++) {
		names = names (names == "" ? "" : ", ") field[i]
		if (i < fields && why[i + 1] == why[i])
			continue
		printf ".TP\n.B %s\n%s\n", names, why[i]
		names = ""
	}
}
