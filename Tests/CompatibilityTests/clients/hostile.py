"""Peers that lie, stall and flood: hostile.py --program DMQ --directory D [--seconds N] [--seed S] [--idle N].

Starts a broker, records what real clients send to it, and then, for so many seconds, sends it random bytes, mutated
requests, lengths that lie, frames that end early, requests whose responses nobody reads, and connections that say
nothing. All the while an honest client writes and reads. In the end the broker has to be up, its memory within the
bound, the honest client served, and it has to stop in order.
"""

import argparse
import random
import resource
import select
import socket
import struct
import subprocess
import threading
import time

import confluent_kafka
import kafka
from confluent_kafka import admin

from kill import free_port

PATIENCE_SECONDS = 60
HOST = "127.0.0.1"


def wait_for(port):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return socket.create_connection((HOST, port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, "the broker does not listen"
            time.sleep(0.01)


class Recorder(threading.Thread):
    """Passes on what clients and the broker say, and keeps the requests."""

    def __init__(self, port, broker_port):
        super().__init__(daemon=True)
        self.broker_port = broker_port
        self.listening = socket.create_server((HOST, port))
        self.requests = set()

    def run(self):
        while True:
            client, _ = self.listening.accept()
            broker = socket.create_connection((HOST, self.broker_port))
            threading.Thread(target=self.pump, args=(client, broker, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(broker, client, False), daemon=True).start()

    def pump(self, source, target, keep):
        held = b""
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
                if keep:
                    held = self.keep(held + data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def keep(self, data):
        while len(data) >= 4:
            (length,) = struct.unpack(">i", data[:4])
            if len(data) < 4 + length:
                break
            if length < 100_000:
                self.requests.add(data[4 : 4 + length])
            data = data[4 + length :]
        return data


def honest_traffic(bootstrap, topic):
    """Whatever the libraries know to ask for."""
    client = admin.AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    new = admin.NewTopic(topic, 3, 1, config={"retention.ms": "100000"})
    client.create_topics([new])[topic].result(PATIENCE_SECONDS)
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for codec_index in range(100):
        producer.produce(topic, b"value %d" % codec_index, b"key", headers={"a": b"b"})
    producer.flush(PATIENCE_SECONDS)
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False, "isolation.level": "read_committed"})
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0) for partition in range(3)])
    consumer.consume(100, 5)
    consumer.offsets_for_times([confluent_kafka.TopicPartition(topic, 0, 1)], PATIENCE_SECONDS)
    consumer.close()
    resource_ = admin.ConfigResource(admin.ConfigResource.Type.TOPIC, topic)
    client.describe_configs([resource_])[resource_].result(PATIENCE_SECONDS)
    client.create_partitions([admin.NewPartitions(topic, 4)])[topic].result(PATIENCE_SECONDS)
    place = confluent_kafka.TopicPartition(topic, 0, confluent_kafka.OFFSET_END)
    client.delete_records([place])[place].result(PATIENCE_SECONDS)
    client.describe_cluster().result(PATIENCE_SECONDS)
    client.delete_topics([topic])[topic].result(PATIENCE_SECONDS)
    python = kafka.KafkaAdminClient(bootstrap_servers=bootstrap)
    python.create_topics([kafka.admin.NewTopic(topic + "-python", 1, 1)])
    python.describe_topics([topic + "-python"])
    python.describe_log_dirs()
    python.close()
    writer = kafka.KafkaProducer(bootstrap_servers=bootstrap)
    writer.send(topic + "-python", b"value").get(PATIENCE_SECONDS)
    writer.close()


def mutated(draw, request, others):
    data = bytearray(request)
    for _ in range(draw.choice([1, 1, 1, 2, 4, 16])):
        place = draw.randrange(len(data)) if data else 0
        kind = draw.randrange(8)
        if kind == 0 and data:
            data[place] ^= 1 << draw.randrange(8)
        elif kind == 1 and data:
            data[place] = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            data[place : place + 4] = draw.choice([b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0"])
        elif kind == 3:
            data[place : place + 2] = draw.choice([b"\x7f\xff", b"\xff\xff", b"\x80\0"])
        elif kind == 4:
            del data[place : place + draw.randrange(1, 9)]
        elif kind == 5:
            data[place:place] = draw.randbytes(draw.randrange(1, 9))
        elif kind == 6:
            other = draw.choice(others)
            cut = draw.randrange(len(other) + 1)
            data[place:] = other[cut:]
        else:
            data[place : place + 5] = b"\xff\xff\xff\xff\x0f"
    return bytes(data)


def frame(request):
    return struct.pack(">i", len(request)) + request


class Attacker(threading.Thread):
    def __init__(self, port, seed, requests, until):
        super().__init__(daemon=True)
        self.port, self.requests, self.until = port, requests, until
        self.draw = random.Random(seed)
        self.counts = {}
        self.error = None

    def run(self):
        try:
            self.attack()
        except Exception as error:  # noqa: BLE001
            self.error = error

    def attack(self):
        attacks = [
            self.noise, self.mutation, self.mutation, self.mutation, self.lie, self.early_end, self.flood,
            self.unknown, self.other_protocol, self.slow,
        ]
        while time.monotonic() < self.until:
            attack = self.draw.choice(attacks)
            name = attack.__name__
            self.counts[name] = self.counts.get(name, 0) + 1
            try:
                with socket.create_connection((HOST, self.port), 10) as peer:
                    peer.settimeout(10)
                    attack(peer)
                    if self.draw.randrange(2):
                        # Reset instead of an orderly end.
                        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass

    def listen_a_little(self, peer, seconds=0.02):
        # Not select, which knows only a thousand descriptors.
        readable = select.poll()
        readable.register(peer, select.POLLIN)
        if readable.poll(seconds * 1000):
            peer.recv(1 << 16)

    def noise(self, peer):
        peer.sendall(self.draw.randbytes(self.draw.choice([1, 3, 4, 10, 100, 10_000])))
        self.listen_a_little(peer)

    def mutation(self, peer):
        for _ in range(self.draw.randrange(1, 20)):
            peer.sendall(frame(mutated(self.draw, self.draw.choice(self.requests), self.requests)))
        self.listen_a_little(peer)

    def lie(self, peer):
        length = self.draw.choice([-1, -(2**31), 2**31 - 1, 2**30, 104_857_600, 104_857_601, 1_000_000])
        peer.sendall(struct.pack(">i", length) + self.draw.choice(self.requests))
        self.listen_a_little(peer, 0.2)

    def early_end(self, peer):
        data = frame(self.draw.choice(self.requests))
        peer.sendall(data[: self.draw.randrange(len(data))])
        if self.draw.randrange(2):
            peer.shutdown(socket.SHUT_WR)
            self.listen_a_little(peer)

    def flood(self, peer):
        """Asks without end and never listens."""
        data = frame(self.draw.choice(self.requests)) * 200
        peer.setblocking(False)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            try:
                peer.send(data)
            except BlockingIOError:
                time.sleep(0.01)

    def unknown(self, peer):
        header = struct.pack(">hhih", self.draw.choice([-1, 0, 3, 18, 77, 999, 32767]), self.draw.randrange(-3, 40), 1, -1)
        peer.sendall(frame(header + self.draw.randbytes(20)))
        self.listen_a_little(peer)

    def other_protocol(self, peer):
        peer.sendall(self.draw.choice([b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"POST /" + b"x" * 9000]))
        self.listen_a_little(peer)

    def slow(self, peer):
        for byte in frame(self.draw.choice(self.requests))[:20]:
            peer.sendall(bytes([byte]))
            time.sleep(0.005)


class Honest(threading.Thread):
    """Writes and reads back, and remembers how long that took."""

    def __init__(self, bootstrap, until):
        super().__init__(daemon=True)
        self.bootstrap, self.until = bootstrap, until
        self.laps, self.slowest, self.error = 0, 0.0, None

    def run(self):
        try:
            self.work()
        except Exception as error:  # noqa: BLE001
            self.error = error

    def work(self):
        client = admin.AdminClient({"bootstrap.servers": self.bootstrap})
        client.create_topics([admin.NewTopic("honest", 1, 1)])["honest"].result(PATIENCE_SECONDS)
        producer = confluent_kafka.Producer({"bootstrap.servers": self.bootstrap, "acks": "all", "enable.idempotence": True})
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": "none", "enable.auto.commit": False})
        consumer.assign([confluent_kafka.TopicPartition("honest", 0, 0)])
        while time.monotonic() < self.until:
            start = time.monotonic()
            producer.produce("honest", b"%d" % self.laps)
            assert producer.flush(PATIENCE_SECONDS) == 0, "not delivered"
            message = consumer.poll(PATIENCE_SECONDS)
            assert message and not message.error() and message.value() == b"%d" % self.laps, message and message.error()
            self.slowest = max(self.slowest, time.monotonic() - start)
            self.laps += 1
            time.sleep(0.05)
        consumer.close()


def memory_kilobytes(pid, name):
    with open(f"/proc/{pid}/status") as status:
        return int(next(line for line in status if line.startswith(name)).split()[1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--idle", type=int, default=1000, help="connections that say nothing")
    parser.add_argument("--memory-mebibytes", type=int, default=600)
    options = parser.parse_args()
    wanted = options.idle * 2 + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), hard), hard))

    port, recorder_port = free_port(), free_port()
    command = [options.program, "server", "--listen", f"{HOST}:{port}", "--data-dir", options.directory]
    recording = command + ["--set", f"advertised.listeners=PLAINTEXT://{HOST}:{recorder_port}"]
    broker = subprocess.Popen(recording, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(port)
    recorder = Recorder(recorder_port, port)
    recorder.start()
    honest_traffic(f"{HOST}:{recorder_port}", "recorded")
    broker.terminate()
    assert broker.wait(PATIENCE_SECONDS) == 0
    requests = sorted(recorder.requests)
    apis = sorted({struct.unpack(">h", request[:2])[0] for request in requests})
    print(f"ok: recorded {len(requests)} requests of the APIs {apis}")

    log = open(f"{options.directory}.log", "w")
    broker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
    wait_for(port)
    before = memory_kilobytes(broker.pid, "VmRSS")
    idle = []
    for _ in range(options.idle):
        try:
            idle.append(socket.create_connection((HOST, port), 10))
        except OSError as error:
            print(f"only {len(idle)} idle connections: {error}")
            break
    time.sleep(0.5)
    with_idle = memory_kilobytes(broker.pid, "VmRSS")
    print(f"ok: {len(idle)} idle connections, {before} KiB before, {with_idle} KiB with them")
    until = time.monotonic() + options.seconds
    honest = Honest(f"{HOST}:{port}", until)
    attackers = [Attacker(port, options.seed * 100 + number, requests, until) for number in range(8)]
    for thread in [honest] + attackers:
        thread.start()
    for thread in [honest] + attackers:
        thread.join(options.seconds + PATIENCE_SECONDS)
    assert broker.poll() is None, f"the broker ended with status {broker.returncode}; see {options.directory}.log"
    assert honest.error is None, f"the honest client failed: {honest.error}"
    assert honest.laps > 0
    counts = {}
    for attacker in attackers:
        assert attacker.error is None, f"an attacker failed: {attacker.error!r}"
        for name, count in attacker.counts.items():
            counts[name] = counts.get(name, 0) + count
    peak = memory_kilobytes(broker.pid, "VmHWM")
    print(f"ok: {counts}, {honest.laps} honest laps, the slowest {honest.slowest:.3f} s, peak memory {peak} KiB")
    assert peak < options.memory_mebibytes * 1024, f"{peak} KiB of memory"
    for connection in idle:
        connection.close()
    broker.terminate()
    status = broker.wait(PATIENCE_SECONDS)
    assert status == 0, f"the broker stopped with status {status}"
    log.close()
    lines = sum(1 for _ in open(log.name))
    print(f"ok: stopped in order, {lines} lines in its log")
    assert lines < 200 * options.seconds + 1000, "the log is flooded"


if __name__ == "__main__":
    main()
