/* Without the code that PCRE2 makes at run time: valgrind takes its reads by words for
 *uninitialised ones, and can name no function to suppress (tests/instrumented):
 *
 *	cc -shared -fPIC -o no_jit.so no_jit.c */

int pcre2_jit_compile_8(void *code, unsigned options);

int pcre2_jit_compile_8(void *code, unsigned options)
{
	(void)code;
	(void)options;
	return -45; /* PCRE2_ERROR_JIT_BADOPTION: what a library without it says */
}
