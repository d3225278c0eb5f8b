/* Links the static library without std, and runs it with its secrets poisoned: under memcheck a branch or an index that
 * depends on an undefined byte is an error. With the argument "leak" it branches on a secret itself, so that the
 * check is seen to be able to fail. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#ifdef MEMCHECK
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(address, length) (void)0
#define VALGRIND_MAKE_MEM_DEFINED(address, length) (void)0
#endif

int strongroom_split(const uint8_t secret[32], const uint8_t coefficients[64], uint8_t shares[5][33]);
int strongroom_combine(const uint8_t shares[3][33], uint8_t secret[32]);
int strongroom_quorum(const uint8_t shares[3][33], uint8_t secret[32]);

int main(int count, char **arguments) {
    uint8_t secret[32], kept[32], coefficients[64], shares[5][33], combined[32], gathered[32];
    for (int i = 0; i < 32; i++) kept[i] = secret[i] = (uint8_t)(7 * i + 3);
    for (int i = 0; i < 64; i++) coefficients[i] = (uint8_t)(91 * i + 17);
    VALGRIND_MAKE_MEM_UNDEFINED(secret, sizeof secret);
    VALGRIND_MAKE_MEM_UNDEFINED(coefficients, sizeof coefficients);
    if (count > 1 && strcmp(arguments[1], "leak") == 0 && (secret[0] & 1)) puts("a branch on a secret");

    if (strongroom_split(secret, coefficients, shares) != 0) return 10;
    uint8_t three[3][33];
    memcpy(three[0], shares[4], 33);
    memcpy(three[1], shares[0], 33);
    memcpy(three[2], shares[2], 33);
    if (strongroom_combine(three, combined) != 0) return 11;
    if (strongroom_quorum(three, gathered) != 0) return 12;

    VALGRIND_MAKE_MEM_DEFINED(combined, sizeof combined);
    VALGRIND_MAKE_MEM_DEFINED(gathered, sizeof gathered);
    VALGRIND_MAKE_MEM_DEFINED(shares, sizeof shares);
    if (memcmp(combined, kept, 32) != 0 || memcmp(gathered, kept, 32) != 0) return 13;
    if (memcmp(shares[0], kept, 32) == 0 || shares[3][32] != 4) return 14;
    puts("split, combine and quorum without std: the secret came back");
    return 0;
}
