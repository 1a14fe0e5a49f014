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
	__attribute__((noipa)) int fill(long each);
	__attribute__((noipa)) int fill(base &other, int amount);
};

int cart::total = 9;

int cart::add(int amount, base &other)
{
	items[count & 1] += amount + other.id;
	total += amount;
	return items[0];
}

int cart::fill(long each)
{
	return items[1] += (int)each;
}

int cart::fill(base &other, int amount)
{
	return items[2] += other.id + amount;
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
	cart.items[1] = cart.items[2] = 0;
	printf("%d %d\n", cart.add(7, other), shop::twice(21));
	printf("%d\n", cart.fill(5L) + cart.fill(other, 2));
}
