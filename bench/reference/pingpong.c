/* Round trips a second of a line over one TCP connection on loopback, for one second: the least a request can cost. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 256 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void echo(int listener) {
  char line[SIZE];
  int one = 1, fd = accept(listener, NULL, NULL);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  for (ssize_t n; (n = recv(fd, line, SIZE, MSG_WAITALL)) > 0;)
    if (send(fd, line, n, 0) < 0) break;
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
  bind(listener, (struct sockaddr *)&address, length);
  getsockname(listener, (struct sockaddr *)&address, &length);
  if (listen(listener, 1) < 0) return perror("listen"), 1;
  pid_t server = fork();
  if (server == 0) return echo(listener), 0;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, length) < 0) return perror("connect"), 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  char line[SIZE];
  memset(line, 'x', SIZE);
  long count = 0;
  double begin = now();
  for (; now() - begin < 1; count++)
    if (send(fd, line, SIZE, 0) != SIZE || recv(fd, line, SIZE, MSG_WAITALL) != SIZE) break;
  printf("%.0f\n", count / (now() - begin));
  kill(server, SIGKILL);
  waitpid(server, NULL, 0);
  return 0;
}
