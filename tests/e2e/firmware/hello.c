/* SPDX-License-Identifier: Apache-2.0
 *
 * A program for QEMU's lm3s6965evb: prints a line on UART0, and then one for each byte that it is
 * sent. What it prints is the proof that it was loaded and runs. DATA is initialised data, copied
 * by nobody: the loader puts it where it runs, so that RAM segments are loaded too.
 */
#include <stdint.h>

#define UART0 0x4000c000u
#define DR    (*(volatile uint32_t *)(UART0 + 0x00))
#define FR    (*(volatile uint32_t *)(UART0 + 0x18))
#define RXFE  (1u << 4)

extern uint32_t stack_top;
void reset(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
	&stack_top, (const void *)reset};

char greeting[32] = "PROVD-HELLO v1.2.3\r\n";
static uint8_t table[3000] = {1, 2, 3};

static void say(const char *s)
{
	for (; *s; s++)
		DR = (uint32_t)*s;
}

void reset(void)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < sizeof table; i++)
		sum += table[i];
	say(sum == 6 ? greeting : "PROVD-BAD\r\n");
	for (;;)
		if (!(FR & RXFE)) {
			char c = (char)DR;

			say(c == '\r' || c == '\n' ? "\r\n" : (char[]){c, 0});
		}
}
