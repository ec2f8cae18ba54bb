# Shell functions shared by contrib/quickstart and contrib/test. POSIX sh.

die() {
	echo "$me: $*" >&2
	exit 2
}

say() {
	echo "== $*"
}

# A program is there in place of its package: Node.js is often installed from elsewhere.
have_package() {
	case $1 in
	nodejs | node) command -v node >/dev/null && return 0 ;;
	npm) command -v npm >/dev/null && return 0 ;;
	esac
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# missing_packages NEED…: those of packages.debian that are not installed.
missing_packages() {
	for need in "$@"; do
		sed -n "s/^$need[[:space:]]\{1,\}\([^[:space:]]*\).*/\1/p" "$top/contrib/packages.debian"
	done | while read -r names; do
		found=
		for name in $(echo "$names" | tr '|' ' '); do
			have_package "$name" && found=1
		done
		[ -n "$found" ] || echo "${names%%|*}"
	done
}

# install_packages NEED…: installs what is missing, without recommendations. Postfix comes with debconf's
# "No configuration", so that no mail system of this machine is set up or started.
install_packages() {
	missing=$(missing_packages "$@" | tr '\n' ' ')
	if [ -z "$missing" ]; then
		say "all packages needed are installed"
		return 0
	fi
	command -v apt-get >/dev/null ||
		die "not a Debian system; install what corresponds to: $missing"
	[ "$(id -u)" -eq 0 ] || die "must be root to install: $missing"
	say "installing: $missing"
	case " $missing " in
	*" postfix "*)
		echo "postfix postfix/main_mailer_type select No configuration" |
			debconf-set-selections || die "debconf does not take the choice for postfix"
		;;
	esac
	apt-get -qq update || die "apt-get update failed"
	# shellcheck disable=SC2086 # the list is meant to be split
	DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install \
		--no-install-recommends $missing </dev/null >/dev/null || die "apt-get could not install: $missing"
}

# Ends with an explanation where a mail system other than Postfix is installed: installing postfix would
# remove it.
refuse_other_mta() {
	command -v dpkg-query >/dev/null || return 0
	other=$(dpkg-query -W -f '${db:Status-Status} ${Package} ${Provides}\n' 2>/dev/null |
		awk '$1 == "installed" && $2 != "postfix" && / mail-transport-agent/ {print $2}')
	if [ -z "$other" ] && ! have_package postfix && [ -e /usr/sbin/sendmail ]; then
		other="/usr/sbin/sendmail of no known package"
	fi
	[ -z "$other" ] && return 0
	echo "$me: another mail system is installed here: $(echo "$other" | tr '\n' ' ')" >&2
	echo "$me: installing postfix would remove it, so nothing was touched. Use a machine or a" >&2
	echo "container without it (such as: docker run -it debian:12)." >&2
	exit 2
}

# copy_source DIR: the source tree to DIR, so that generated files stay out of the original.
copy_source() {
	mkdir -p "$1" || die "cannot make $1"
	(cd "$top" && tar -c --exclude=./.git --exclude=./quickstart.run --exclude=./test.run \
		--exclude="./${1#"$top"/}" --exclude=./build --exclude='./build-[!a]*' --exclude=autom4te.cache \
		--exclude=node_modules --exclude=__pycache__ --exclude=.deps --exclude=.dirstamp \
		--exclude='*.o' --exclude='*.a' --exclude=./Makefile --exclude=./config.status \
		--exclude=./config.h --exclude=./stamp-h1 .) | tar -x -C "$1" ||
		die "cannot copy the source to $1"
}

# fetch_sendmail DIR: unpacks Debian's Sendmail below DIR without installing it, for it cannot be installed
# beside Postfix. Fails where the packages cannot be had.
fetch_sendmail() {
	[ -x "$1/usr/libexec/sendmail/sendmail" ] && return 0
	command -v apt-get >/dev/null && mkdir -p "$1/packages" || return 1
	(cd "$1/packages" && apt-get -qq download sendmail-bin sendmail-base sendmail-cf libwrap0) || return 1
	for package in "$1"/packages/*.deb; do
		dpkg -x "$package" "$1" || return 1
	done
	# Programs with the group bit set get no libraries from LD_LIBRARY_PATH.
	chmod g-s "$1/usr/libexec/sendmail/sendmail"
}
