#!/bin/sh
# The gate on shape (HACKING.md, "Budgets"): sizes, complexity, who may include what, format, manual pages.
# Prints one line a check; tools that are absent skip theirs. Ends with "N passed, N failed, N skipped".
cd "${top_srcdir:-.}" || exit 99
passed=0 failed=0 skipped=0

folders='base event store schema mime milter logtail trace query upload capture daemon cli'
folders=$(for f in $folders; do [ -d "$f" ] && echo "$f"; done)
# shellcheck disable=SC2086 # a list of folders
sources=$(find $folders -name '*.[ch]' | sort)
tests=$(find tests -name '*.[ch]' | sort)

# verdict NAME FINDINGS: passes when nothing was found.
verdict() {
	if [ -z "$2" ]; then
		passed=$((passed + 1))
		echo "ok: $1"
	else
		failed=$((failed + 1))
		printf 'FAILED: %s\n%s\n' "$1" "$2"
	fi
}

# needs TOOL NAME: skips NAME where TOOL is absent.
needs() {
	command -v "$1" >/dev/null && return 0
	skipped=$((skipped + 1))
	echo "skipped: $2 ($1 is not installed)"
	return 1
}

if needs pmccabe 'functions have at most 100 lines and complexity 20'; then
	# shellcheck disable=SC2086
	found=$(pmccabe $(echo "$sources" | grep '\.c$') |
		awk -F '\t' '$1 > 20 || $5 > 100 {print "  " $6 ": complexity " $1 ", " $5 " lines"}')
	verdict 'functions have at most 100 lines and complexity 20' "$found"
fi

# shellcheck disable=SC2086
found=$(wc -l $sources $tests | awk '$2 != "total" && $1 > 1000 {print "  " $2 ": " $1 " lines"}')
verdict 'files have at most 1000 lines' "$found"

# only HEADER PATTERN: HEADER is included in files that match PATTERN and nowhere else.
only() {
	# shellcheck disable=SC2086
	found=$(grep -lE "^[[:space:]]*#[[:space:]]*include[[:space:]]*<$1" $sources | grep -vE "^($2)")
	verdict "<$1> is included only in $2" "$found"
}
only sqlite3.h 'store/'
only microhttpd.h 'query/server(\.c|_[a-z]+\.c|-private\.h)$'
only gnutls/ 'query/tls\.[ch]$'
only gmime/ 'mime/'
only curl/ '(upload|cli)/[a-z]*\.c$'

# Which folders a folder may include; HACKING.md, "Shape".
allowed() {
	case $1 in
	base) echo base ;;
	event | schema) echo base event schema ;;
	store) echo base event schema store ;;
	mime | logtail | trace | query | upload) echo base event schema store "$1" ;;
	milter) echo base event schema store milter mime ;;
	capture) echo base event schema store mime milter logtail trace query upload capture ;;
	*) echo "$folders" ;;
	esac
}
found=$(for folder in $folders; do
	may=" $(allowed "$folder" | tr '\n' ' ') "
	grep -rE --include='*.[ch]' '^#include "[a-z]+/' "$folder" |
		sed -E 's/^([^:]*):#include "([a-z]+)\/.*/\1 \2/' |
		while read -r file other; do
			case $may in
			*" $other "*) ;;
			*) echo "  $file includes $other/" ;;
			esac
		done
done | sort -u)
verdict 'folders include only folders below them' "$found"

found=$(grep -nE '\b(TODO|FIXME|XXX)\b' $sources $tests)
verdict 'nothing is left to do in the sources' "$found"

# What config.c reads stands in the sample and in the manual page.
keys=$(sed -nE 's/^[[:space:]]*\{"[a-z]+", "([a-z_]+)", CONFIG_.*/\1/p' daemon/config.c | sort -u)
found=$(for key in $keys; do
	grep -qE "^#?$key =" contrib/postwake.conf.sample || echo "  $key is not in the sample"
	grep -qE "^\.BR .*\b$key\b" man/postwake.conf.5 || echo "  $key is not in postwake.conf(5)"
done)
[ -n "$keys" ] || found='  no keys found in daemon/config.c'
verdict 'every configuration key is documented' "$found"

# The options of a subcommand stand in its manual page.
found=$(for page in man/postwake-*.1; do
	name=${page#man/postwake-} && name=${name%.1}
	files=cli/$name.c
	case $name in search | follow) files="$files cli/filter.c" ;; esac
	# shellcheck disable=SC2086
	sed -nE 's/^[[:space:]]*\{"([a-z-]+)", ([0-9]|'"'.'"', 0, G_OPT|"[a-z_]+", ").*/\1/p' $files |
		while read -r option; do
			sed 's/\\-/-/g' "$page" | grep -q -e "--$option\b" ||
				echo "  $page lacks --$option"
		done
done)
verdict 'every option of a subcommand is in its manual page' "$found"

# The table of fields in the manual page is the one that the tests hold against the events.
want=$(awk -f man/fields.awk schema/sources.def)
found=$(sed -n '/begin of fields/,/end of fields/p' man/postwake-event.5 | sed '1d;$d')
[ "$found" = "$want" ] && found='' ||
	found='  put the output of "awk -f man/fields.awk schema/sources.def" between "begin" and "end of fields"'
verdict 'postwake-event(5) has the table of schema/sources.def' "$found"

if needs clang-format 'sources are formatted'; then
	# Other versions than Debian 12's break lines elsewhere.
	if clang-format --version | grep -q 'version 14\.'; then
		# shellcheck disable=SC2086
		found=$(clang-format --dry-run $sources $tests 2>&1 | grep 'warning:' | cut -d: -f1 | sort | uniq -c)
		verdict 'sources are formatted' "$found"
	else
		skipped=$((skipped + 1))
		echo 'skipped: sources are formatted (not clang-format 14)'
	fi
fi

if needs mandoc 'manual pages are well formed'; then
	verdict 'manual pages are well formed' "$(mandoc -Tlint -Wwarning man/*.[1-9] 2>&1)"
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
