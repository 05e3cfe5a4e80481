"""Runs a command in a pseudo-terminal, as a person would: python3 terminal.py COLUMNS [--interrupt TEXT[,TEXT]] -- COMMAND…

Presses Ctrl-C each time the screen has shown the next TEXT, or Ctrl-Z where that begins with ^Z; a command that has stopped goes
on after a moment. Prints one JSON object: exit code, all that was shown, and the lengths of that when it stopped.
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

arguments = sys.argv[1:]
command = arguments[arguments.index("--") + 1:]
options = arguments[: arguments.index("--")]
columns = int(options[0])
interrupts = options[2].split(",") if len(options) > 2 else []

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))

shown, seen, started, stops = b"", 0, time.time(), []
while time.time() - started < 120:
    ready, _, _ = select.select([terminal], [], [], 0.1)
    if ready:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    if interrupts:
        at = shown.find(interrupts[0].removeprefix("^Z").encode(), seen)
        if at >= 0:
            seen = at + 1
            os.write(terminal, b"\x1a" if interrupts.pop(0).startswith("^Z") else b"\x03")
    if not ready and os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG):
        stops.append(len(shown.decode(errors="replace")))
        os.kill(pid, signal.SIGCONT)
else:
    os.kill(pid, signal.SIGKILL)
_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
code = 128 - code if code < 0 else code  # as a shell says it
print(json.dumps({"code": code, "shown": shown.decode(errors="replace"), "stops": stops}))
