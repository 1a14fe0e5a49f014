// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A database in miniature, of the kind that scripts which log queries look into: classes with
 * bases and methods, namespaces, references, overloaded functions, templates, and static members.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#define KEPT __attribute__((noipa))

enum command_type { COM_QUIT = 1, COM_QUERY = 3 };

struct Lex_string {
	const char *str;
	size_t length;
};

class Query_arena
{
      public:
	virtual ~Query_arena() = default;
	long arena_id = 5;
};

class Session : public Query_arena
{
      public:
	unsigned long thread_id = 42;
	Lex_string db{ "shop", 4 };
	static int count;
	KEPT int execute(const Lex_string &query, bool prepared);
	KEPT int execute(int number);
	KEPT const char *user() const
	{
		return user_.str;
	}

      private:
	Lex_string user_{ "root", 4 };
	unsigned char flags_[4] = { 1, 2, 3, 4 };
};

int Session::count;

int Session::execute(const Lex_string &query, bool prepared)
{
	count++;
	return (int)query.length + prepared;
}

int Session::execute(int number)
{
	count++;
	return number + (int)db.length;
}

namespace store
{
struct Page {
	unsigned int id;
	Page *next;
	double load;
};

KEPT int read_page(Page *page, unsigned int flags)
{
	return page->id + flags;
}

template <typename T> KEPT T largest(T a, T b)
{
	return a > b ? a : b;
}

namespace cache
{
thread_local long hits = 3;
KEPT long lookup(Page &page)
{
	hits++;
	return page.next ? page.next->id : 0;
}
} // namespace cache
} // namespace store

KEPT bool dispatch_command(command_type command, Session *session, char *packet,
			   unsigned int length)
{
	Lex_string query{ packet, length };

	session->execute(query, command == COM_QUERY);
	session->execute(9);
	return false;
}

extern "C" KEPT int exec_simple_query(const char *query_string)
{
	return (int)strlen(query_string);
}

int main(int argc, char **argv)
{
	Session session;
	store::Page last{ 8, nullptr, 0.5 }, page{ 7, &last, 1.5 };
	char query[] = "select 1 -- and more";
	int sum = 0;

	for (int i = argc > 1 ? atoi(argv[1]) : 1; i > 0; i--) {
		dispatch_command(i % 2 ? COM_QUERY : COM_QUIT, &session, query, 8);
		sum += exec_simple_query("commit");
		sum += store::read_page(&page, 2) + store::largest(3, 4);
		sum += (int)store::largest(1.5, 2.5) + (int)store::cache::lookup(page);
		sum += (int)strlen(session.user());
	}
	printf("commands=%d sum=%d\n", Session::count, sum);
	return 0;
}
