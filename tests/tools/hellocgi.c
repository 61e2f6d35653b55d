/* hellocgi: a CGI program that says hello, and nothing but libc. */
#include <unistd.h>

int main(void)
{
    static const char text[] = "Status: 200 OK\r\nContent-Type: application/json\r\n"
                               "Content-Length: 17\r\n\r\n{\"hello\":\"world\"}";

    return write(STDOUT_FILENO, text, sizeof text - 1) < 0;
}
