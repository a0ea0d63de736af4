/* How long do two Tox friends take to connect, who know each other's id and one bootstrap node?
   Three instances in one process on loopback; prints seconds from the start to both being online. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <tox/tox.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static Tox *start(unsigned short port) {
    struct Tox_Options *options = tox_options_new(NULL);
    tox_options_set_start_port(options, port);
    tox_options_set_end_port(options, port);
    tox_options_set_local_discovery_enabled(options, false);
    Tox *tox = tox_new(options, NULL);
    tox_options_free(options);
    if (!tox) {
        fprintf(stderr, "no Tox on port %u\n", port);
        exit(1);
    }
    return tox;
}

int main(void) {
    unsigned short first = (unsigned short)(33500 + getpid() % 400 * 3);
    double begin = now();
    Tox *node[3];
    uint8_t key[3][TOX_PUBLIC_KEY_SIZE], dht[TOX_PUBLIC_KEY_SIZE];
    for (int i = 0; i < 3; i++) {
        node[i] = start((unsigned short)(first + i));
        tox_self_get_public_key(node[i], key[i]);
    }
    tox_self_get_dht_id(node[0], dht);
    for (int i = 1; i < 3; i++) {
        if (!tox_bootstrap(node[i], "127.0.0.1", first, dht, NULL)) return 1;
        if (tox_friend_add_norequest(node[i], key[3 - i], NULL) != 0) return 1;
    }
    while (now() - begin < 120) {
        unsigned wait = 1000;
        for (int i = 0; i < 3; i++) {
            tox_iterate(node[i], NULL);
            unsigned own = tox_iteration_interval(node[i]);
            if (own < wait) wait = own;
        }
        int online = 0;
        for (int i = 1; i < 3; i++)
            online += tox_friend_get_connection_status(node[i], 0, NULL) != TOX_CONNECTION_NONE;
        if (online == 2) {
            printf("%.3f\n", now() - begin);
            return 0;
        }
        usleep(wait * 1000);
    }
    return 1;
}
