"""How fast the stand-in is, as ratios to ViZDoom measured in the same run.

    pip install -e .[bench] && python bench/env.py [--rounds 7] [--seconds 1.0]

Every contender runs in a process of its own, held to one processor (two where it says so), and they take turns, a slice
of time each, so that a machine whose speed drifts drifts for all. A figure is the median over the rounds; a ratio is
the median of the rounds' ratios. All of them get random actions and hand over every frame as an array. ViZDoom draws
160 x 120, which is 17% more pixels; MiniWorld needs OpenGL (Debian: libegl1 libgl1-mesa-dri libglu1-mesa) and is left
out where it cannot start.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

Stepper = Callable[[], int]  # does some work and returns how many frames that was

BATCH = 64


def batched(threads: int) -> Stepper:
    """64 environments as one: physics, figure and frame."""
    import gymnasium as gym

    mode = "vector_entry_point"
    env = gym.make_vec("skygarden:Skygarden-v0", num_envs=BATCH, vectorization_mode=mode, threads=threads)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(32)]

    def step() -> int:
        for action in actions:
            env.step(action)
        return BATCH * len(actions)

    return step


def single() -> Stepper:
    """One environment through gym.make, with its wrappers."""
    import gymnasium as gym

    env = gym.make("skygarden:Skygarden-v0")
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(500)]

    def step() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return len(actions)

    return step


def drawing() -> Stepper:
    """Frames of the scene and a figure along a player's way, without physics."""
    from envs.backend import SIDE
    from envs.gamepad import NOOP
    from envs.standin.simulation import Simulation

    simulation = Simulation(BATCH, 0)
    rng = np.random.default_rng(0)
    actions = np.tile(NOOP, (BATCH, 1))
    actions[:, 13] = 10  # ahead
    frames = np.empty((BATCH, SIDE, SIDE, 3), np.uint8)
    still = np.zeros(BATCH, np.bool_)
    for k in range(BATCH):
        simulation.put(k, k % 4, k % 13, k % 3, False)
    for _ in range(40):
        actions[:, 14] = rng.integers(3, 8, BATCH)
        simulation.advance(actions, rng.random(BATCH) < 0.7, frames)

    def step() -> int:
        for _ in range(20):
            simulation.advance(actions, still, frames)
        return 20 * BATCH

    return step


def vizdoom(scenario: str) -> Stepper:
    """A ViZDoom scenario at 160 x 120, RGB24, frame skip 1, without the other buffers."""
    import vizdoom as vzd

    os.chdir(tempfile.gettempdir())  # it leaves files where it runs
    game = vzd.DoomGame()
    game.load_config(f"{vzd.scenarios_path}/{scenario}.cfg")
    game.set_screen_resolution(vzd.ScreenResolution.RES_160X120)
    game.set_screen_format(vzd.ScreenFormat.RGB24)
    game.set_mode(vzd.Mode.PLAYER)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_depth_buffer_enabled(False)
    game.set_labels_buffer_enabled(False)
    game.set_automap_buffer_enabled(False)
    game.set_objects_info_enabled(False)
    game.set_sectors_info_enabled(False)
    game.init()
    rng = np.random.default_rng(0)
    buttons = game.get_available_buttons_size()
    actions = (rng.random((500, buttons)) < 0.5).astype(float).tolist()

    def step() -> int:
        for action in actions:
            if game.is_episode_finished():
                game.new_episode()
            game.make_action(action, 1)
            state = game.get_state()
            if state is not None:
                np.asarray(state.screen_buffer)
        return len(actions)

    return step


def miniworld() -> Stepper:
    """MiniWorld's Hallway at 128 x 128, by whatever OpenGL there is: Mesa's llvmpipe on a machine without a GPU."""
    os.environ["PYGLET_HEADLESS"] = "true"
    import gymnasium as gym

    env = gym.make("miniworld:MiniWorld-Hallway-v0", obs_width=128, obs_height=128)
    env.reset(seed=0)

    def step() -> int:
        for _ in range(100):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()
        return 100

    return step


CONTENDERS: dict[str, tuple[Callable[..., Stepper], tuple[object, ...], int]] = {
    "batched": (batched, (1,), 1),
    "batched, two threads": (batched, (2,), 2),
    "single": (single, (), 1),
    "drawing alone": (drawing, (), 1),
    "ViZDoom my_way_home": (vizdoom, ("my_way_home",), 1),
    "ViZDoom deathmatch": (vizdoom, ("deathmatch",), 1),
    "MiniWorld Hallway": (miniworld, (), 1),
}

RATIOS = (
    ("batched", "ViZDoom my_way_home", 0.75),
    ("batched", "ViZDoom deathmatch", 1.7),
    ("single", "batched", 0.5),
    ("batched, two threads", "batched", 1.7),
)


def serve(name: str, pipe: Connection) -> None:
    """Run one contender: a number of seconds comes in, frames a second go out; 0 seconds end it."""
    make, arguments, processors = CONTENDERS[name]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:processors])
    try:
        step = make(*arguments)
        step()
    except Exception as error:  # a peer that cannot start here is reported, not hidden
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(None)
    while (seconds := pipe.recv()) > 0:
        frames, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds:
            frames += step()
        pipe.send(frames / (time.perf_counter() - start))


def start(name: str) -> Connection | None:
    """Start a contender's process; None where it cannot run here."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=serve, args=(name, there), daemon=True).start()
    there.close()  # so that a process that dies is noticed
    try:
        problem = here.recv()
    except EOFError:
        problem = "its process died"
    if problem is not None:
        print(f"left out {name}: {problem}", flush=True)
        return None
    return here


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns that each contender gets")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn")
    options = parser.parse_args()
    pipes = {name: pipe for name in CONTENDERS if (pipe := start(name)) is not None}
    rates: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(options.rounds):
        for name, pipe in pipes.items():
            pipe.send(options.seconds)
            rates[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(0.0)
    print(f"\n{'frames a second':<28}{'median':>9}{'lowest':>9}{'highest':>9}")
    for name, values in rates.items():
        print(f"{name:<28}{statistics.median(values):>9.0f}{min(values):>9.0f}{max(values):>9.0f}")
    print(f"\n{'ratio':<48}{'median':>9}{'bar':>9}")
    for over, under, bar in RATIOS:
        if over in rates and under in rates:
            ratio = statistics.median(a / b for a, b in zip(rates[over], rates[under], strict=True))
            print(f"{over + ' / ' + under:<48}{ratio:>9.2f}{bar:>9.2f}")


if __name__ == "__main__":
    main()
