// SPDX-License-Identifier: GPL-2.0-or-later
/* Classes, namespaces and templates. */
#include <cstdio>

namespace shop
{
struct base {
	int id;
	virtual ~base() = default;
};

class cart : public base
{
public:
	static int total;
	int items[3];
	unsigned int count : 4;

	__attribute__((noipa)) int add(int amount, base &other);
};

int cart::total = 9;

int cart::add(int amount, base &other)
{
	items[count & 1] += amount + other.id;
	total += amount;
	return items[0];
}

template <class T> __attribute__((noipa)) T twice(T value)
{
	return value + value;
}
} // namespace shop

int main()
{
	shop::cart cart;
	shop::base other;

	cart.id = 41;
	cart.count = 4;
	cart.items[0] = 0;
	other.id = 3;
	printf("%d %d\n", cart.add(7, other), shop::twice(21));
}
