// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Compares float64.c and float64_text.c with the processor's doubles and the C library's text.
 *
 *   float64 SEED ROUNDS
 *
 * Ends at the first difference, which it prints; prints the most actions that a call took.
 */
#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "stapwatch.h"

#define ROOM	2048
#define ACTIONS (1 << 20)

static struct sw_lane_counts counts;
static struct sw_context c;
static u64 state;
static s32 most;

u64 sw_clock_monotonic(void)
{
	return 0;
}

void sw_meter_heavy(struct sw_context *context)
{
}

static u64 random64(void)
{
	u64 x = state += 0x9e3779b97f4a7c15ull;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static double double_of(u64 bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static u64 bits_of(double value)
{
	u64 bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* Any bits; near to 1; integers; with few bits; denormal; special; near to another one. */
static u64 random_number(u64 other)
{
	static const u64 special[] = { 0,
				       1,
				       0x7ff0ull << 48,
				       0x7ff8ull << 48,
				       0x3ffull << 52,
				       0x7fefffffffffffffull,
				       0x10ull << 48,
				       0xfffffffffffffull };
	u64 any = random64(), sign = random64() & 1ull << 63;

	switch (random64() % 8) {
	case 0:
		return any;
	case 1:
		return sign | (1013 + random64() % 70) << 52 | any >> 12;
	case 2:
		return bits_of((double)((s64)any >> random64() % 64)) ^ sign;
	case 3:
		return any & (~0ull << (20 + random64() % 40));
	case 4:
		return sign | any >> (11 + random64() % 50);
	case 5:
		return sign | special[random64() % 8];
	case 6:
		return other + random64() % 7 - 3;
	default:
		return bits_of(double_of(other) * 1.5) ^ sign;
	}
}

static void paid(void)
{
	if (ACTIONS - c.actions > most)
		most = ACTIONS - c.actions;
	c.actions = ACTIONS;
}

static void fail(const char *what, u64 a, u64 b, u64 ours, u64 wanted)
{
	printf("%s %a %a: %016llx, not %016llx (%a, not %a)\n", what, double_of(a), double_of(b),
	       (unsigned long long)ours, (unsigned long long)wanted, double_of(ours),
	       double_of(wanted));
	exit(1);
}

static void same(const char *what, u64 a, u64 b, u64 ours, double wanted)
{
	paid();
	if (isnan(wanted) ? !isnan(double_of(ours)) : ours != bits_of(wanted))
		fail(what, a, b, ours, bits_of(wanted));
}

static void arithmetic(u64 a, u64 b)
{
	volatile double x = double_of(a), y = double_of(b);
	union {
		u32 bits;
		float value;
	} narrow = { (u32)a };

	same("add", a, b, sw_float64_add(a, b), x + y);
	same("subtract", a, b, sw_float64_subtract(a, b), x - y);
	same("multiply", a, b, sw_float64_multiply(a, b), x * y);
	same("divide", a, b, sw_float64_divide(a, b), x / y);
	/* by the processor: remainder() of some C libraries loses the sign of a zero */
	same("remainder", a, b, sw_float64_remainder(&c, a, b), (double)remainderl(x, y));
	same("sqrt", a, b, sw_float64_sqrt(&c, a), sqrt(x));
	same("from_int", a, b, sw_float64_from_int((s64)a), (double)(s64)a);
	same("from_float32", a, b, sw_float64_from_float32(narrow.bits), (double)narrow.value);
	if (sw_float64_equal(a, b) != (x == y) || sw_float64_less(a, b) != (x < y) ||
	    sw_float64_less_or_equal(a, b) != (x <= y))
		fail("compare", a, b, 0, 0);
}

static void integers(u64 a)
{
	static const int modes[] = { FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD };
	volatile double x = double_of(a);
	s64 wanted, ours;
	u32 i;

	for (i = 0; i < SW_ROUNDINGS; i++) {
		ours = sw_float64_to_int(a, i);
		if (!(x >= -0x1p63 && x < 0x1p63)) {
			wanted = -0x7fffffffffffffffll - 1;
		} else if (i < 4) {
			fesetround(modes[i]);
			wanted = llrint(x);
			fesetround(FE_TONEAREST);
		} else if (i == SW_ROUND_AWAY) {
			wanted = llround(x);
		} else {
			wanted = (s64)x;
			if ((double)wanted != x && !(wanted & 1))
				wanted += x < 0 ? -1 : 1;
		}
		if (ours != wanted)
			fail("to_int", a, i, (u64)ours, (u64)wanted);
	}
}

static void from_text(const char *text)
{
	double wanted = strtod(text, NULL);
	u64 ours = sw_float64_from_text(&c, text);

	paid();
	if (isnan(wanted) ? !isnan(double_of(ours)) : ours != bits_of(wanted)) {
		printf("from_text %s: %a, not %a\n", text, double_of(ours), wanted);
		exit(1);
	}
}

static void to_text(u64 a, int precision, u32 size)
{
	static char ours[ROOM], wanted[ROOM];
	double x = double_of(a);
	bool is_cut;
	u64 cut = counts.strings_cut;

	snprintf(wanted, sizeof(wanted), "%.*f", precision, isnan(x) ? fabs(x) : x);
	is_cut = strlen(wanted) >= size;
	memset(ours, 'x', sizeof(ours));
	sw_float64_to_text(&c, ours, size, a, precision);
	paid();
	if (ours[size] != 'x' || (counts.strings_cut - cut) != is_cut ||
	    (is_cut ? strlen(ours) != size - 1 : strcmp(ours, wanted) != 0)) {
		printf("to_text %a %d %u: %s, not %s\n", x, precision, size, ours, wanted);
		exit(1);
	}
}

static void texts(u64 a)
{
	static char text[ROOM];
	double x = double_of(a), next;
	long double half;
	size_t n;

	to_text(a, (int)(random64() % 4 ? random64() % 20 : random64() % 1200), ROOM - 1);
	to_text(a, (int)(random64() % 20), 1 + (u32)(random64() % 64));
	snprintf(text, sizeof(text), "%.*e", (int)(random64() % 40), x);
	from_text(text);
	snprintf(text, sizeof(text), " %+.*f", (int)(random64() % 40), x);
	from_text(text);
	snprintf(text, sizeof(text), "%llu.%llue%d", (unsigned long long)random64() >> a % 64,
		 (unsigned long long)random64(), (int)(random64() % 700) - 350);
	from_text(text);
	/* the half between two numbers, and its neighbours: only the last digit tells */
	next = nextafter(x, INFINITY);
	if (!isfinite(x) || !isfinite(next) || random64() % 4)
		return;
	half = ((long double)x + (long double)next) / 2;
	snprintf(text, sizeof(text), "%.*Le", 800, half);
	from_text(text);
	n = (size_t)(strchr(text, 'e') - text);
	text[n - 1] = '1';
	from_text(text);
	snprintf(text, sizeof(text), "%.*Lf", 1100, half);
	from_text(text);
	n = strlen(text);
	while (n > 3 && text[n - 1] == '0')
		text[--n] = 0;
	if (text[n - 1] > '0' && text[n - 1] <= '9') {
		text[n - 1]--;
		from_text(text);
	}
}

int main(int argc, char **argv)
{
	static const char *const fixed[] = { "",
					     "-",
					     "+.",
					     ".",
					     ".5",
					     "5.",
					     "1e",
					     "1e+",
					     "1.2.3",
					     "0x10",
					     "-0",
					     "00012",
					     "1e999999999999",
					     "1e-99999",
					     "-inf",
					     "NAN",
					     "Infinity",
					     "in",
					     "\t\n 7e1 ",
					     "9007199254740993",
					     "2.4703282292062327e-324",
					     "1.7976931348623159e308",
					     "abc",
					     "1,5" };
	u64 a = 0, b = 0, rounds = strtoull(argv[2], NULL, 0), i;

	state = strtoull(argv[1], NULL, 0);
	c.counts = &counts;
	c.actions = ACTIONS;
	for (i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		if (!strchr(fixed[i], 'x')) /* no hexadecimal numbers */
			from_text(fixed[i]);
	for (i = 0; i < rounds; i++) {
		a = random_number(b);
		b = random_number(a);
		arithmetic(a, b);
		integers(a);
		if (i % 16 == 0)
			texts(a);
	}
	printf("%d\n", most);
	return 0;
}
