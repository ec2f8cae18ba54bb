#include "store/dict_block.h"

#define BLOCK_BYTES 4064 /* two rows fill a page of 8192 bytes */
#define HEADS_MAX 32     /* bytes of the numbers of one string, and of the block */

bool dict_block_open(struct dict_block *block, int64_t first, struct slice body)
{
	struct unpack in = unpack_start(body);
	uint64_t n = unpack_number(&in);
	struct slice heads = unpack_bytes(&in, n >> 1);

	*block = (struct dict_block){.id = first, .ascii = (n & 1) == 0};
	block->heads = unpack_start(heads);
	block->rest = slice_make((const char *)in.p, (size_t)(in.end - in.p));
	return !in.bad && first > 0;
}

int dict_block_next(struct dict_block *block, struct dict_string *string)
{
	if (block->heads.p == block->heads.end)
		return block->rest.n == 0 ? 0 : -1;
	uint64_t n = unpack_number(&block->heads);
	uint64_t of = n & 1 ? unpack_number(&block->heads) : 0;
	if (block->heads.bad || n >> 1 > block->rest.n || of > INT64_MAX)
		return -1;
	*string = (struct dict_string){block->id++, (int64_t)of, slice_head(block->rest, n >> 1)};
	block->rest = slice_from(block->rest, n >> 1);
	return 1;
}

int dict_block_seek(struct dict_block *block, int64_t id, struct dict_string *string)
{
	int result;

	while ((result = dict_block_next(block, string)) == 1 && string->id != id)
		;
	return result;
}

void dict_growing_init(struct dict_growing *block)
{
	*block = (struct dict_growing){
	        .heads = g_byte_array_sized_new(BLOCK_BYTES),
	        .texts = g_byte_array_sized_new(BLOCK_BYTES),
	        .ascii = true,
	};
}

void dict_growing_clear(struct dict_growing *block)
{
	g_byte_array_unref(block->heads);
	g_byte_array_unref(block->texts);
}

static void add(struct dict_growing *block, struct slice text, int64_t of)
{
	pack_number(block->heads, (uint64_t)text.n << 1 | (of != 0));
	if (of != 0)
		pack_number(block->heads, (uint64_t)of);
	if (text.n > 0)
		g_byte_array_append(block->texts, (const guint8 *)text.p, (guint)text.n);
	for (size_t i = 0; i < text.n && block->ascii; i++)
		block->ascii = (text.p[i] & 0x80) == 0;
	block->next++;
}

bool dict_growing_load(struct dict_growing *block, int64_t first, struct slice body)
{
	struct dict_block in;
	struct dict_string string;
	int result = -1;

	block->first = block->next = first;
	if (dict_block_open(&in, first, body))
		while ((result = dict_block_next(&in, &string)) == 1)
			add(block, string.text, string.of);
	return result == 0;
}

void dict_growing_turn(struct dict_growing *block)
{
	g_byte_array_set_size(block->heads, 0);
	g_byte_array_set_size(block->texts, 0);
	block->ascii = true;
	block->changed = false;
	block->first = block->next;
}

bool dict_growing_has_room(const struct dict_growing *block, size_t n)
{
	return block->heads->len == 0 ||
	       block->heads->len + block->texts->len + n + HEADS_MAX <= BLOCK_BYTES;
}

int64_t dict_growing_add(struct dict_growing *block, struct slice text, int64_t of)
{
	add(block, text, of);
	block->changed = true;
	return block->next - 1;
}

struct dict_block dict_growing_read(const struct dict_growing *block)
{
	return (struct dict_block){
	        .id = block->first,
	        .ascii = block->ascii,
	        .heads = unpack_start(
	                slice_make((const char *)block->heads->data, block->heads->len)),
	        .rest = slice_make((const char *)block->texts->data, block->texts->len),
	};
}

void dict_growing_body(const struct dict_growing *block, GByteArray *out)
{
	pack_number(out, (uint64_t)block->heads->len << 1 | !block->ascii);
	g_byte_array_append(out, block->heads->data, block->heads->len);
	g_byte_array_append(out, block->texts->data, block->texts->len);
}
