"""Runs a command in a pseudo terminal: pseudo-terminal.py ROWS COLUMNS COMMAND ARGUMENT…

What the command writes goes to standard output as it is. Lines of standard input are orders: "keys TEXT", "size ROWS COLUMNS",
"signal NUMBER". Ends with the command's exit code, 128 and the number where a signal ended it.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios


def resize(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


rows, columns, *command = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    resize(0, int(rows), int(columns))
    os.execvp(command[0], command)
resize(terminal, int(rows), int(columns))
orders = b""
inputs = [terminal, 0]
while True:
    ready, _, _ = select.select(inputs, [], [])
    if 0 in ready:
        given = os.read(0, 4096)
        if not given:
            inputs = [terminal]
        orders += given
        while b"\n" in orders:
            line, orders = orders.split(b"\n", 1)
            what, _, rest = line.decode().partition(" ")
            if what == "keys":
                os.write(terminal, rest.encode())
            elif what == "size":
                resize(terminal, *map(int, rest.split()))
            elif what == "signal":
                os.kill(child, int(rest))
    if terminal in ready:
        try:
            output = os.read(terminal, 65536)
        except OSError:
            break
        if not output:
            break
        os.write(1, output)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
