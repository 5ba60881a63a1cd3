"""mire-follow with real logs: Postfix and Exim write them, real clients cause them, a stand-in for mired takes what is reported."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import exim
import mail_world
from lab import REPOSITORY
from mail_world import CLIENT, OTHER, REMOTE, SERVER

PROGRAM = REPOSITORY / os.environ.get("MIRE_BUILD", "build") / "tools/follow/mire-follow"

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
              pytest.mark.skipif(not shutil.which("smtp-sink"), reason="missing packages: postfix (tools/packages test)"),
              pytest.mark.skipif(not PROGRAM.exists(), reason="not built: mire-follow (ninja -C build)")]


@pytest.fixture
def folder():
    made = pathlib.Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    made.chmod(0o755)
    (made / "state").mkdir()
    shutil.chown(made / "state", "nobody")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def world(folder):
    made = mail_world.MailWorld(f"follow{os.getpid()}", folder)
    yield made
    made.down()


@pytest.fixture
def mired(folder):
    made = mail_world.Mired(folder / "mired.sock")
    yield made
    made.close()


@pytest.fixture
def follow(folder):
    running = []

    def start(*words, **options):
        process = mail_world.follower(PROGRAM, "--socket", folder / "mired.sock", "--state", folder / "state", *words, **options)
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def readable(log):
    """Postfix keeps its log to itself; group adm reads it elsewhere."""
    end = time.monotonic() + 10
    while not log.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    log.chmod(0o644)


def test_what_postfix_logs_of_real_clients_is_reported(world, mired, follow):
    log = world.start_postfix()
    world.start_sink()
    readable(log)
    follow("--postfix", "--from-start", "--ours", SERVER, log)
    accepted, codes = world.talk("a@client.example", ["anna@us.example", "ben@us.example"])
    assert codes == [250, 250, 250]
    unknown, codes = world.talk("a@client.example", [f"nobody{n}@us.example" for n in range(5)] + ["anna@us.example"])
    assert codes == [550] * 5 + [250, 250]
    relay, codes = world.talk("a@client.example", ["x@elsewhere.example"])
    assert codes == [554]
    later, codes = world.talk("a@client.example", ["later@us.example"])
    assert codes == [450], "not for good: not counted"
    spam, codes = world.talk("a@client.example", ["anna@us.example"], subject="buy")
    assert codes == [250, 550]
    six, codes = world.talk("a@client.example", ["anna@us.example"], source=OTHER, server="2001:db8::25")
    assert codes == [250, 250]
    _, codes = world.talk("anna@us.example", ["u@them.example", "v@them.example"], source=SERVER)
    assert codes == [250, 250, 250]
    mired.await_sum({
        (CLIENT, accepted, "accepted", None): 1,
        (CLIENT, unknown, "unknown_recipient", None): 5,
        (CLIENT, unknown, "accepted", None): 1,
        (CLIENT, relay, "refusal", None): 1,
        (CLIENT, spam, "refusal", None): 1,
        (OTHER, six, "accepted", None): 1,
        (REMOTE, None, "outbound", "them.example"): 1,
    })


EXIM = """
primary_hostname = mx.us.example
daemon_smtp_ports = 25
local_interfaces = <; 198.51.100.25
log_selector = +incoming_port +outgoing_port
tls_advertise_hosts =
host_lookup =
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
smtp_accept_max_per_connection = 100
begin acl
check_rcpt:
  accept hosts = 198.51.100.25
  defer local_parts = later
  deny !domains = us.example
       message = relay not permitted
  require verify = recipient
  accept
check_data:
  deny condition = ${if match{$h_subject:}{buy}}
  accept
begin routers
out:
  driver = manualroute
  domains = them.example
  transport = wire
  route_list = * 203.0.113.9
known:
  driver = redirect
  local_parts = anna : ben
  data = :blackhole:
begin transports
wire:
  driver = smtp
  hosts_avoid_tls = *
  hosts_try_dane =
  hosts_request_ocsp =
  dnssec_request_domains =
  allow_localhost
begin retry
* * F,1h,1m
"""


def test_what_exim_logs_of_real_clients_is_reported(world, mired, follow):
    why = exim.unavailable()
    if why:
        pytest.skip(f"no Exim: {why}")
    server = exim.Exim(world, None, "exim")
    server.configure(EXIM)
    world.popen(*server.command("-bdf")[4:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    world.await_port(SERVER)
    world.start_sink()
    log = server.home / "log/mainlog"
    for path in (server.home, server.home / "log"):
        path.chmod(0o755)
    log.chmod(0o644)
    follow("--exim", "--from-start", "--ours", SERVER, log)
    accepted, codes = world.talk("a@client.example", ["anna@us.example"])
    assert codes == [250, 250]
    unknown, codes = world.talk("a@client.example", ["no1@us.example", "no2@us.example", "anna@us.example"])
    assert codes == [550, 550, 250, 250]
    relay, codes = world.talk("a@client.example", ["x@elsewhere.example"])
    assert codes == [550]
    _, codes = world.talk("a@client.example", ["later@us.example"])
    assert codes == [451]
    spam, codes = world.talk("a@client.example", ["anna@us.example"], subject="buy")
    assert codes == [250, 550]
    _, codes = world.talk("anna@us.example", ["u@them.example"], source=SERVER)
    assert codes == [250, 250]
    mired.await_sum({
        (CLIENT, accepted, "accepted", None): 1,
        (CLIENT, unknown, "unknown_recipient", None): 2,
        (CLIENT, unknown, "accepted", None): 1,
        (CLIENT, relay, "refusal", None): 1,
        (CLIENT, spam, "refusal", None): 1,
        (REMOTE, None, "outbound", "them.example"): 1,
    })


def refusals(first, count):
    return "".join(f"Nov 24 16:07:01 mx postfix/smtpd[9]: NOQUEUE: reject: RCPT from m[192.0.{n // 250}.{n % 250}]:{1000 + n}: "
                   "550 5.1.1 <x@us.example>: no; from=<a@b.example>\n" for n in range(first, first + count))


def wanted(count):
    return {(f"192.0.{n // 250}.{n % 250}", 1000 + n, "unknown_recipient", None): 1 for n in range(count)}


def test_nothing_is_counted_twice_or_lost_when_the_follower_is_killed(folder, mired, follow):
    log = folder / "maillog"
    log.write_text(refusals(0, 150))
    process = follow("--postfix", "--from-start", log)
    mired.await_sum(wanted(150))
    process.send_signal(signal.SIGKILL)
    process.wait()
    with log.open("a") as file:
        file.write(refusals(150, 50))
    log.rename(folder / "maillog.1")  # rotated while nobody follows
    log.write_text(refusals(200, 30))
    follow("--postfix", "--from-start", log)
    mired.await_sum(wanted(230))


def test_a_message_under_way_when_the_follower_is_killed_is_counted_later(folder, mired, follow):
    log = folder / "maillog"
    log.write_text("Nov 24 16:07:01 mx postfix/smtpd[9]: 4Zv: client=m[192.0.2.7]:40123\n" + refusals(0, 1))
    process = follow("--postfix", "--from-start", log)
    mired.await_sum(wanted(1))
    process.send_signal(signal.SIGKILL)
    process.wait()
    with log.open("a") as file:
        file.write("Nov 24 16:07:02 mx postfix/qmgr[9]: 4Zv: from=<a@b>, size=1, nrcpt=1 (queue active)\n")
    follow("--postfix", log)
    mired.await_sum({**wanted(1), (CLIENT, 40123, "accepted", None): 1})


def test_a_mired_that_is_away_is_waited_for_and_found_again(folder, mired, follow):
    log = folder / "maillog"
    log.write_text(refusals(0, 10))
    follow("--postfix", "--from-start", log)
    mired.await_sum(wanted(10))
    mired.close()
    with log.open("a") as file:
        file.write(refusals(10, 500))
    time.sleep(2)
    mired.open()
    mired.await_sum(wanted(510))


def test_a_batch_that_was_not_answered_is_not_sent_again(folder, mired, follow):
    log = folder / "maillog"
    log.write_text(refusals(0, 10))
    mired.answer = lambda request: None
    process = follow("--postfix", "--from-start", log)
    mired.await_sum(wanted(10))
    mired.answer = lambda request: {"result": {"taken": 1}}
    with log.open("a") as file:
        file.write(refusals(10, 1))
    mired.await_sum(wanted(11))
    said = mail_world.ended(process)
    assert "10 observations were sent and not answered" in said and "1 reported, 0 refused, 10 unsure" in said, said


def test_what_mired_does_not_take_yet_is_told_again_and_what_it_refuses_is_not(folder, mired, follow):
    log = folder / "maillog"
    log.write_text(refusals(0, 10))
    mired.answer = lambda request: {"error": {"code": -32001, "message": "you may read only"}}
    process = follow("--postfix", "--from-start", log)
    end = time.monotonic() + 20
    while len(mired.requests) < 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    mired.requests.clear()
    mired.answer = lambda request: {"result": {"taken": 10}}
    mired.await_sum(wanted(10))
    mired.answer = lambda request: {"error": {"code": -32602, "message": "what?"}}
    with log.open("a") as file:
        file.write(refusals(10, 5))
    mired.await_sum(wanted(15))
    said = mail_world.ended(process)
    assert said.count("you may read only") == 1, "said once, however often it is tried"
    assert "mired refused 5 observations: what?" in said and "10 reported, 5 refused" in said, said


def test_standard_input_is_read_to_its_end(folder, mired, follow):
    process = follow("--postfix", "-", stdin=subprocess.PIPE)
    process.stdin.write(refusals(0, 1200) + "an unfinished line")
    process.stdin.close()
    assert process.wait(20) == 0
    mired.await_sum(wanted(1200))
    with (folder / "file").open("w+") as file:
        file.write(refusals(1200, 30))
        file.seek(0)
        assert follow("--postfix", "-", stdin=file).wait(20) == 0
    mired.await_sum(wanted(1230))


def test_outcomes_can_be_looked_at_without_mired(folder, follow):
    process = follow("--postfix", "--print", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    said, _ = process.communicate(refusals(0, 2), timeout=20)
    assert said.splitlines()[0] == '{"source":"192.0.0.0","kind":"unknown_recipient","amount":1E0,"port":1000}'
    assert process.returncode == 0 and not list((folder / "state").iterdir())


def test_wrong_words_are_refused_with_a_next_step():
    for words, part in ((["-"], "--postfix or --exim"), (["--postfix"], "which log"), (["--postfix", "--nonsense", "-"], "see --help"),
                        (["--postfix", "a", "b"], "one log at a time"), (["--exim", "--ours", "x", "-"], "try 198.51.100.0/24"),
                        (["--exim", "-", "--socket"], "a value is wanted")):
        done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 2 and part in done.stderr, (words, done.stderr)
