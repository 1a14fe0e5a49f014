// SPDX-License-Identifier: GPL-2.0-or-later
/* Instalments of actions, and the time of a hit; no kernel headers. */
#include "stapwatch.h"

#define CHARGE_MOST	(1 << 30)   /* actions; more than any hit has */
#define CHARGE_MAX_TIME 50000000ull /* ns: the default MAXTIME */

static char *charge_put(char *to, const char *text)
{
	while (*text)
		*to++ = *text++;
	return to;
}

static char *charge_put_number(char *to, u64 number)
{
	u64 unit = 1;

	while (number / unit >= 10)
		unit *= 10;
	for (; unit; unit /= 10)
		*to++ = (char)('0' + number / unit % 10);
	return to;
}

static u64 charge_max_time(void)
{
	return sw_script.max_time ? sw_script.max_time : CHARGE_MAX_TIME;
}

static bool charge_is_late(const struct sw_context *c)
{
	return c->looks && c->took > charge_max_time();
}

/* Nothing is left from now on, whatever the script does about the error. */
static bool charge_refuse(struct sw_context *c)
{
	bool late = charge_is_late(c);
	char *to = c->error_text;

	c->actions = -1;
	c->looks = ~0u;
	c->took = late ? c->took : 0;
	if (c->error)
		return false;
	c->error = "MAXACTION exceeded";
	if (late) {
		to = charge_put(to, "MAXTIME exceeded: the hit has taken ");
		to = charge_put_number(to, charge_max_time() / 1000000);
		to = charge_put(to, " ms, -D MAXTIME=ms allows more");
		*to = 0;
		c->error = c->error_text;
	}
	return false;
}

/*
 * Adds the time since the last look. At the first look it is not known: the hit has run
 * for one instalment, which is not long.
 */
static void charge_look(struct sw_context *c, u64 actions)
{
	u64 now = sw_clock_monotonic(), passed = now - c->looked;

	sw_meter_heavy(c);
	if (!c->looks)
		c->took = 0;
	else if ((s64)passed > 0)
		c->took += passed < actions * SW_MOST_NS ? passed : actions * SW_MOST_NS;
	c->looked = now;
}

/* Of the hit, that it has not asked for yet; below 0 if there are none. */
static s64 charge_rest(const struct sw_context *c)
{
	return (s64)sw_script.probes[c->probe].actions - (s64)c->looks * SW_LOOK;
}

s64 sw_actions_left(const struct sw_context *c)
{
	s64 rest = charge_rest(c);

	return c->actions + (rest > 0 ? rest : 0);
}

bool sw_charge_more(struct sw_context *c)
{
	s64 left = charge_rest(c);
	s64 missing = -(s64)c->actions;
	u32 instalments = (u32)((missing + SW_LOOK - 1) / SW_LOOK);

	if (left < missing || charge_is_late(c))
		return charge_refuse(c);
	charge_look(c, (u64)missing + SW_LOOK);
	c->looks += instalments;
	c->actions += (s32)(left < instalments * SW_LOOK ? left : instalments * SW_LOOK);
	return !charge_is_late(c) || charge_refuse(c);
}

bool sw_charge_all(struct sw_context *c, u64 count, u64 cost, const char *what, const char *things)
{
	u64 actions = count * cost / SW_ACTION;
	char *to = c->error_text;

	if (sw_charge(c, actions < CHARGE_MOST ? (u32)actions : CHARGE_MOST))
		return true;
	if (c->error == c->error_text)
		return false;
	to = charge_put(to, "MAXACTION exceeded, ");
	to = charge_put(to, what);
	*to++ = ' ';
	to = charge_put_number(to, count);
	*to++ = ' ';
	to = charge_put(to, things);
	*to = 0;
	c->error = c->error_text;
	return false;
}
