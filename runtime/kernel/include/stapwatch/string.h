/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Script strings: NUL-terminated, in buffers of a size that the compiler knows. A
 * string that does not fit is cut, and counted in the lane's @strings_cut. These functions
 * pay for the bytes that they look at (charge.h); those that have no action left for them
 * end early, with an error in the context, and their result is not to be used.
 */
#ifndef STAPWATCH_STRING_H
#define STAPWATCH_STRING_H

/**
 * sw_length() - strlen(), which must not be called: the kernel's may be traced
 * @s: the string
 *
 * For strings that are known to be short: sw_measure() pays.
 *
 * Context: Any.
 * Return: bytes before the NUL.
 */
static __always_inline u32 sw_length(const char *s)
{
	u32 n = 0;

	while (s[n])
		n++;
	return n;
}

/**
 * sw_copy() - copies a string
 * @c: the handler's context
 * @to: gets the string; may be @from
 * @size: bytes of @to
 * @from: the string
 *
 * Context: Handler.
 */
void sw_copy(struct sw_context *c, char *to, u32 size, const char *from);

/**
 * sw_append() - writes a string behind another whose length is known
 * @c: the handler's context
 * @to: a buffer that has the other
 * @size: bytes of @to
 * @length: length of the other
 * @text: the string
 *
 * Cost: linear in the length of @text, where sw_concat() measures both.
 *
 * Context: Handler.
 * Return: length of both.
 */
u32 sw_append(struct sw_context *c, char *to, u32 size, u32 length, const char *text);

/**
 * sw_copy_key() - copies a string into a key
 * @c: the handler's context
 * @to: gets the string; the rest is filled with NULs, because keys are hashed and
 *      compared by words
 * @size: bytes of @to
 * @from: the string
 *
 * Context: Handler.
 */
void sw_copy_key(struct sw_context *c, char *to, u32 size, const char *from);

/**
 * sw_concat() - joins two strings
 * @c: the handler's context
 * @to: gets @a and then @b; may be either or both of them
 * @size: bytes of @to
 * @a: the first string
 * @b: the second string
 *
 * Context: Handler.
 */
void sw_concat(struct sw_context *c, char *to, u32 size, const char *a, const char *b);

/**
 * sw_measure() - length of a string of any length
 * @c: the handler's context
 * @s: the string
 *
 * Context: Handler.
 * Return: bytes before the NUL; the length of what was paid for if there was no action left.
 */
u32 sw_measure(struct sw_context *c, const char *s);

/**
 * sw_find() - the first place of a string in another
 * @c: the handler's context
 * @s: the string that is searched
 * @part: the string that is searched for
 *
 * Cost: the product of both lengths if @s is made for it.
 *
 * Context: Handler, after sw_prepare().
 * Return: offset in @s; -1 if @part is not in there.
 */
s64 sw_find(struct sw_context *c, const char *s, const char *part);

/**
 * sw_compare() - compares two strings as unsigned bytes
 * @c: the handler's context; NULL in the condition of a probe, which is no part of a hit
 * @a: the first string
 * @b: the second string
 *
 * Context: Handler, after sw_prepare() if both strings may be longer than SW_CHUNK.
 * Return: negative, 0 or positive.
 */
s32 sw_compare(struct sw_context *c, const char *a, const char *b);

/**
 * sw_format() - sprintf() of the script language
 * @c: the handler's context; gets an error if %m or %M cannot read memory
 * @to: gets the text
 * @size: bytes of @to
 * @format: %d %i %u %x %X %o %c %s %p %b %m %M %%, with flags, width, precision, `*`
 * @longs: the arguments that are numbers, `*` included, in order
 * @strings: the arguments that are strings, in order
 *
 * The compiler has checked that there are as many arguments as @format asks for.
 *
 * Context: Handler.
 */
void sw_format(struct sw_context *c, char *to, u32 size, const char *format, const s64 *longs,
	       const char *const *strings);

#endif
