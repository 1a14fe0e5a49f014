/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Script strings: NUL-terminated, in buffers of a size that the compiler knows. A
 * string that does not fit is cut, and counted in the lane's @strings_cut.
 */
#ifndef STAPWATCH_STRING_H
#define STAPWATCH_STRING_H

/**
 * sw_length() - strlen(), which must not be called: the kernel's may be traced
 * @s: the string
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
 * sw_compare() - compares two strings as unsigned bytes
 * @a: the first string
 * @b: the second string
 *
 * Context: Any.
 * Return: negative, 0 or positive.
 */
s32 sw_compare(const char *a, const char *b);

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
