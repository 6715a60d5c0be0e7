/* SPDX-License-Identifier: MIT */
/* test_ports.c - ports and the secret: what a server takes from the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <yomo/error.h>

#include "server/ports.h"
#include "server/secret.h"

static void make_config(struct yo_config *config, const char *const *addresses,
                        uint16_t port, bool http)
{
    memset(config, 0, sizeof(*config));
    for (; *addresses; addresses++) {
        assert_int_equal(
            yo_address_parse(&config->bind[config->bind_count++], *addresses, 0),
            YOMO_OK);
    }
    config->port = port;
    config->http = http;
}

static uint16_t port_of(int fd)
{
    union yo_address address;
    socklen_t size = sizeof(address);

    assert_int_equal(getsockname(fd, &address.sa, &size), 0);
    return yo_address_port(&address);
}

static void one_number_for_udp_and_tcp_on_both_families(void **unused)
{
    static const char *const both[] = {"127.0.0.1", "::1", NULL};
    struct yo_config config;
    struct yo_ports ports;
    struct yo_buf missing, why;
    int fds[3][YO_PLACES_MAX][YO_DOORS];

    (void)unused;
    yo_buf_init(&missing, &yo_mem_libc);
    yo_buf_init(&why, &yo_mem_libc);
    make_config(&config, both, 0, true);
    assert_int_equal(yo_ports_take(&ports, &config, &missing, &why), YOMO_OK);
    assert_true(ports.port > 0 && ports.http_port > 0 && ports.port != ports.http_port);
    yo_ports_release(&ports);
    for (int w = 0; w < 3; w++) { /* shared */
        assert_int_equal(yo_ports_open(&ports, false, fds[w], &why), YOMO_OK);
    }
    for (int w = 0; w < 3; w++) {
        for (size_t i = 0; i < ports.count; i++) {
            assert_int_equal(port_of(fds[w][i][YO_DOOR_UDP]), ports.port);
            assert_int_equal(port_of(fds[w][i][YO_DOOR_TLS]), ports.port);
            assert_int_equal(port_of(fds[w][i][YO_DOOR_PLAIN]), ports.http_port);
            for (int door = 0; door < YO_DOORS; door++) {
                close(fds[w][i][door]);
            }
        }
    }
    yo_buf_finish(&missing);
    yo_buf_finish(&why);
}

static void a_port_of_another_is_in_use_for_udp_and_for_tcp(void **unused)
{
    static const char *const v4[] = {"127.0.0.1", NULL};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct yo_config config;
    struct yo_ports ports;
    struct yo_buf missing, why;
    int one = 1;

    (void)unused;
    yo_buf_init(&missing, &yo_mem_libc);
    yo_buf_init(&why, &yo_mem_libc);
    for (int type = 0; type < 2; type++) {
        int fd = socket(AF_INET, type ? SOCK_STREAM : SOCK_DGRAM, 0);
        address.sin_port = 0;
        /* Also when the other one would share it. */
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        if (type) {
            assert_int_equal(listen(fd, 1), 0);
        }
        make_config(&config, v4, port_of(fd), false);
        yo_buf_clear(&why);
        assert_int_equal(yo_ports_take(&ports, &config, &missing, &why),
                         YOMO_ERR_IN_USE);
        assert_true(why.size > 0);
        close(fd);
    }
    yo_buf_finish(&missing);
    yo_buf_finish(&why);
}

static void a_missing_address_is_left_out_unless_it_is_the_last(void **unused)
{
    static const char *const some[] = {"127.0.0.1", "192.0.2.77", NULL};
    static const char *const none[] = {"192.0.2.77", NULL};
    struct yo_config config;
    struct yo_ports ports;
    struct yo_buf missing, why;

    (void)unused;
    yo_buf_init(&missing, &yo_mem_libc);
    yo_buf_init(&why, &yo_mem_libc);
    make_config(&config, some, 0, false);
    assert_int_equal(yo_ports_take(&ports, &config, &missing, &why), YOMO_OK);
    assert_int_equal(ports.count, 1);
    assert_true(missing.size > 0);
    yo_ports_release(&ports);
    make_config(&config, none, 0, false);
    assert_int_equal(yo_ports_take(&ports, &config, &missing, &why), YOMO_ERR_SYSTEM);
    yo_buf_finish(&missing);
    yo_buf_finish(&why);
}

static void a_secret_is_made_once_and_for_this_user_only(void **unused)
{
    char dir[] = "/tmp/yomo-secret-XXXXXX", path[64];
    uint8_t first[YO_SECRET_SIZE], second[YO_SECRET_SIZE];
    struct yo_buf why;
    struct stat st;

    (void)unused;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/secret", dir);
    yo_buf_init(&why, &yo_mem_libc);
    assert_int_equal(yo_secret_ready(dir, &yo_mem_libc, first, &why), YOMO_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(yo_secret_ready(dir, &yo_mem_libc, second, &why), YOMO_OK);
    assert_memory_equal(first, second, sizeof(first));
    assert_int_equal(why.size, 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(yo_secret_ready(dir, &yo_mem_libc, second, &why), YOMO_ERR_FILE);
    assert_true(why.size > 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 31), 0);
    assert_int_equal(yo_secret_ready(dir, &yo_mem_libc, second, &why), YOMO_ERR_FILE);
    unlink(path);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(yo_secret_ready(dir, &yo_mem_libc, second, &why), YOMO_ERR_FILE);
    unlink(path);
    rmdir(dir);
    assert_int_equal(yo_secret_ready(dir, &yo_mem_libc, second, &why), YOMO_ERR_FILE);
    yo_buf_finish(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_number_for_udp_and_tcp_on_both_families),
        cmocka_unit_test(a_port_of_another_is_in_use_for_udp_and_for_tcp),
        cmocka_unit_test(a_missing_address_is_left_out_unless_it_is_the_last),
        cmocka_unit_test(a_secret_is_made_once_and_for_this_user_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
