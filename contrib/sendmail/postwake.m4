dnl Sendmail's side of postwake's milter. In sendmail.mc, above the MAILER lines:
dnl
dnl	include(`/usr/local/share/postwake/postwake.m4')
dnl
dnl or the last line of this file itself; then make sendmail.cf anew. The socket is the one of the [milter] section
dnl of postwake.conf; Sendmail wants all directories above it to be writable by root only.
dnl
dnl No F=: while postwaked does not answer, mail is accepted as if it was not there (F=T would defer it).
dnl T=: connect, send, read, end of message; short, so that a postwaked that hangs cannot hold mail up for long.
dnl Macros need not be named: postwake asks for those that it needs.
INPUT_MAIL_FILTER(`postwake', `S=unix:/run/postwake/milter.sock, T=C:5s;S:5s;R:5s;E:20s')dnl
