/* benchevents COUNT [ENTITIES [SIZE]]: events as a busy site makes them, always the
 * same: payloads of 50 to 2,000 bytes (some 800 a line on average), ids that
 * ascend, every fifth event up to 100 seconds late, over ENTITIES entities
 * (COUNT / 20) of three types. With SIZE every payload has about that many bytes. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 42;

/* xorshift64* */
static uint64_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1du;
}

int main(int argc, char **argv)
{
    static const char *const types[] = {"anesthesia", "equipment", "part"};
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t entities = argc > 2 ? strtoull(argv[2], NULL, 10) : count / 20 + 1;
    size_t fixed = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    size_t longest = fixed ? fixed : 1950;
    char *note = malloc(longest + 1);

    if (!note)
        return 70;
    memset(note, 'n', longest);
    note[longest] = '\0';
    for (uint64_t i = 0; i < count; i++) {
        uint64_t r = next(), entity = r % entities;
        uint64_t ts = 1767225600000 + 200 * i - (i % 5 == 4 ? (r >> 20) % 100000 : 0);
        size_t usual = (r >> 40) % 8 ? (r >> 44) % 900 : (r >> 44) % 1950;
        size_t size = fixed ? fixed : usual;

        printf("{\"event_id\":\"%08" PRIx64 "-%04" PRIx64 "-7%03" PRIx64 "-8%03" PRIx64
               "-%012" PRIx64 "\",\"entity_type\":\"%s\",\"entity_id\":\"E%" PRIu64
               "\",\"actor_id\":\"U%03" PRIu64 "\",\"actor_role\":\"nurse\","
               "\"device_id\":\"iPad-%02" PRIu64 "\",\"ts_device\":%" PRIu64
               ",\"hlc\":\"%012" PRIx64 ".%04" PRIx64 "\",\"event_type\":\"VITAL_RECORDED\","
               "\"payload\":{\"sbp\":%" PRIu64 ",\"dbp\":%" PRIu64 ",\"hr\":%" PRIu64
               ",\"spo2\":98.5,\"note\":\"%s\"}}\n",
               ts >> 16, ts & 0xffff, i & 0xfff, r & 0xfff, i, types[entity % 3], entity, r % 40,
               r % 12, ts, ts, i & 0xf, 100 + r % 60, 50 + r % 40, 55 + r % 70,
               note + longest - size);
    }
    free(note);
    return fflush(stdout) || ferror(stdout) ? 74 : 0;
}
