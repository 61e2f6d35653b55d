#include "text/rfc3339.h"

enum { MS_PER_DAY = 86400000, DAYS_PER_400_YEARS = 146097, DAYS_0000_03_TO_1970 = 719468 };

struct civil {
    int64_t year;
    int month, day;
};

/* Years are counted from March, so that the leap day is a year's last and
 * the months before it always have the same lengths. */
static int64_t days_of_civil(struct civil c)
{
    int64_t year = c.month > 2 ? c.year : c.year - 1;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int month = c.month > 2 ? c.month - 3 : c.month + 9;
    int64_t day_of_year = (153 * month + 2) / 5 + c.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * DAYS_PER_400_YEARS + day_of_era - DAYS_0000_03_TO_1970;
}

static struct civil civil_of_days(int64_t days)
{
    int64_t since = days + DAYS_0000_03_TO_1970;
    int64_t era = (since >= 0 ? since : since - (DAYS_PER_400_YEARS - 1)) / DAYS_PER_400_YEARS;
    int day_of_era = (int)(since - era * DAYS_PER_400_YEARS);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (5 * day_of_year + 2) / 153;
    struct civil c;

    c.day = day_of_year - (153 * month + 2) / 5 + 1;
    c.month = month < 10 ? month + 3 : month - 9;
    c.year = era * 400 + year_of_era + (c.month <= 2);
    return c;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* The reader takes from the front of s and remembers the first fault. */
struct reader {
    struct span s;
    int bad;
};

static int take(struct reader *r)
{
    int c;

    if (!r->s.n) {
        r->bad = 1;
        return -1;
    }
    c = (unsigned char)*r->s.p;
    r->s.p++;
    r->s.n--;
    return c;
}

static void expect(struct reader *r, char a, char b)
{
    int c = take(r);

    if (c != a && c != b)
        r->bad = 1;
}

static int digits(struct reader *r, int count, int least, int most)
{
    int value = 0;

    while (count-- > 0) {
        int c = take(r);

        if (c < '0' || c > '9') {
            r->bad = 1;
            return least;
        }
        value = value * 10 + (c - '0');
    }
    if (value < least || value > most) {
        r->bad = 1;
        return least;
    }
    return value;
}

static int fraction_ms(struct reader *r)
{
    int ms = 0, weight = 100, seen = 0;

    if (!r->s.n || *r->s.p != '.')
        return 0;
    take(r);
    while (r->s.n && *r->s.p >= '0' && *r->s.p <= '9') {
        ms += (take(r) - '0') * weight;
        weight /= 10;
        seen = 1;
    }
    if (!seen)
        r->bad = 1;
    return ms;
}

static int zone_minutes(struct reader *r)
{
    int sign = take(r), hours, minutes;

    if (sign == 'Z' || sign == 'z')
        return 0;
    if (sign != '+' && sign != '-')
        r->bad = 1;
    hours = digits(r, 2, 0, 23);
    expect(r, ':', ':');
    minutes = digits(r, 2, 0, 59);
    return sign == '-' ? -(hours * 60 + minutes) : hours * 60 + minutes;
}

int rfc3339_parse(struct span s, int64_t *unix_ms)
{
    struct reader r = {s, 0};
    struct civil c;
    int hour, minute, second, ms;
    int64_t seconds;

    c.year = digits(&r, 4, 1, 9999);
    expect(&r, '-', '-');
    c.month = digits(&r, 2, 1, 12);
    expect(&r, '-', '-');
    c.day = digits(&r, 2, 1, days_in_month(c.year, c.month));
    expect(&r, 'T', 't');
    hour = digits(&r, 2, 0, 23);
    expect(&r, ':', ':');
    minute = digits(&r, 2, 0, 59);
    expect(&r, ':', ':');
    second = digits(&r, 2, 0, 60);
    ms = fraction_ms(&r);
    seconds = days_of_civil(c) * 86400 + hour * 3600 + minute * 60 + second;
    seconds -= (int64_t)zone_minutes(&r) * 60;
    if (r.bad || r.s.n)
        return -1;
    if (second == 60) {
        /* A leap second runs into the first second of a month, in UTC. */
        if (seconds % 86400 != 0 || civil_of_days(seconds / 86400).day != 1)
            return -1;
    }
    *unix_ms = seconds * 1000 + ms;
    return 0;
}

static char *put(char *p, int64_t value, int width)
{
    char reversed[20];
    int n = 0;

    do {
        reversed[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value || n < width);
    while (n > 0)
        *p++ = reversed[--n];
    return p;
}

void rfc3339_format(int64_t unix_ms, char out[static 32])
{
    int64_t days = unix_ms / MS_PER_DAY;
    int rest = (int)(unix_ms % MS_PER_DAY);
    struct civil c;
    char *p = out;

    if (rest < 0) {
        rest += MS_PER_DAY;
        days--;
    }
    c = civil_of_days(days);
    if (c.year < 0)
        *p++ = '-';
    p = put(p, c.year < 0 ? -c.year : c.year, 4);
    *p++ = '-';
    p = put(p, c.month, 2);
    *p++ = '-';
    p = put(p, c.day, 2);
    *p++ = 'T';
    p = put(p, rest / 3600000, 2);
    *p++ = ':';
    p = put(p, rest / 60000 % 60, 2);
    *p++ = ':';
    p = put(p, rest / 1000 % 60, 2);
    *p++ = '.';
    p = put(p, rest % 1000, 3);
    *p++ = 'Z';
    *p = '\0';
}
