"""What ONNX Runtime's settings are worth on this pack's graphs: `make bench-sessions`. They justify what src/vision/runtime.rs, net.rs (BATCH) and the worker
pool do: one session a thread, default options, crops in batches.

Every alternative is measured in turn with the others, so that whatever slows this machine down slows all of them.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import bench
import numpy
import onnxruntime
from onnxruntime import GraphOptimizationLevel as Level

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/clients"))
from servers import MODELS  # noqa: E402

ROUNDS = 60
BATCHES = (1, 2, 4, 8, 20)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pack", default="standard")
    pack = bench.Pack(parser.parse_args().pack)
    frame = bench.blank_input(1280, 720)
    graphs = {"detector, 1280x736": (pack.detector_file, frame), "embedder, one face": (pack.embedder_file, pack.face)}
    print(f"ONNX Runtime {onnxruntime.__version__}, {os.cpu_count()} cores, medians of {ROUNDS}\n")
    options_of_a_session(graphs)
    starts(graphs)
    batches(pack)
    threads(graphs)


def session(graph, **settings):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for name, value in settings.items():
        setattr(options, name, value)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def runner(made, data):
    name = made.get_inputs()[0].name
    return lambda: made.run(None, {name: data})


def in_turn(actions, rounds=ROUNDS):
    """Median milliseconds of each."""
    times = [[bench.milliseconds(action) for action in actions] for _ in range(rounds + 5)]
    return numpy.median(times[5:], axis=0)


def options_of_a_session(graphs):
    alternatives = {
        "default": {},
        "without the arena": {"enable_cpu_mem_arena": False},
        "without memory patterns": {"enable_mem_pattern": False},
        "graph: no optimisation": {"graph_optimization_level": Level.ORT_DISABLE_ALL},
        "graph: basic": {"graph_optimization_level": Level.ORT_ENABLE_BASIC},
        "graph: extended": {"graph_optimization_level": Level.ORT_ENABLE_EXTENDED},
    }
    print(f"| ms a run | {' | '.join(alternatives)} |\n|---|{'---|' * len(alternatives)}")
    for role, (graph, data) in graphs.items():
        times = in_turn([runner(session(MODELS / graph, **settings), data) for settings in alternatives.values()])
        print(f"| {role} | {' | '.join(f'{each:.2f}' for each in times)} |", flush=True)


def starts(graphs):
    """A graph that was saved optimised, against one that is optimised as it is loaded."""
    print("\n| ms to load | as it is | saved optimised |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for role, (graph, _) in graphs.items():
            saved = str(Path(folder) / graph)
            session(MODELS / graph, optimized_model_filepath=saved)
            ready = {"graph_optimization_level": Level.ORT_DISABLE_ALL}
            plain, optimised = in_turn([lambda: session(MODELS / graph), lambda: session(saved, **ready)], 15)
            print(f"| {role} | {plain:.1f} | {optimised:.1f} |", flush=True)


def batches(pack):
    """What a face costs among so many in one run."""
    made = session(MODELS / pack.embedder_file)
    times = in_turn([runner(made, numpy.repeat(pack.face, size, 0)) for size in BATCHES])
    print(f"\n| faces in a run | {' | '.join(map(str, BATCHES))} |\n|---|{'---|' * len(BATCHES)}")
    print(f"| ms a face | {' | '.join(f'{whole / size:.2f}' for whole, size in zip(times, BATCHES))} |", flush=True)


def threads(graphs):
    """Images a second on all cores: a session of many threads after another, or a session of one thread on each core."""
    cores = os.cpu_count()
    print(f"\n| runs a second on {cores} cores | one session, {cores} threads | {cores} sessions, one thread each | "
          f"{cores} sessions, {cores} threads each, spinning | {cores} sessions, {cores} threads each, not spinning |\n|---|---|---|---|---|")
    for role, (graph, data) in graphs.items():
        rates = []
        for sessions, inside, spins in ((1, cores, True), (cores, 1, True), (cores, cores, True), (cores, cores, False)):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = inside
            options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spins else "0")
            made = [onnxruntime.InferenceSession(MODELS / graph, options, providers=["CPUExecutionProvider"]) for _ in range(sessions)]
            rates.append(rate([runner(one, data) for one in made]))
        print(f"| {role} | {' | '.join(f'{each:.0f}' for each in rates)} |", flush=True)


def rate(runners, seconds=3):
    done, end = [0] * len(runners), time.monotonic() + seconds

    def work(place):
        while time.monotonic() < end:
            runners[place]()
            done[place] += 1

    workers = [threading.Thread(target=work, args=(place,)) for place in range(len(runners))]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    return sum(done) / seconds


if __name__ == "__main__":
    main()
