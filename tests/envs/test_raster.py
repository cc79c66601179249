"""Laws of drawing triangles, checked against rays cast one a pixel.

A triangle's number shows in its colour: its tint counts in sixteenths, four bits a channel.
"""

import itertools
import math

import cv2
import numpy as np
import pytest

from envs.jit import entry
from envs.standin.figure import make_figure
from envs.standin.island import Ground
from envs.standin.mesh import Mesh
from envs.standin.raster import (
    CAMERA,
    MAX_TRIANGLES,
    PLANES,
    TEXTURE_TEXELS,
    Look,
    Triangles,
    aligned,
    draw,
    make_scratch,
    material,
)
from envs.standin.scene import World

FOCAL = 0.6
NEAR = 0.0625  # metres

# Texture 0 is white, texture 1, the sky, black; no fog.
PLAIN = Look(np.repeat([0xFFFFFF, 0], TEXTURE_TEXELS).astype(np.int32), np.zeros(4, np.float32), 1)

BOX = [  # a unit cube from outside, counter-clockwise
    [(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)], [(0, 1, 0), (1, 1, 0), (1, 0, 0), (0, 0, 0)],
    [(0, 0, 0), (1, 0, 0), (1, 0, 1), (0, 0, 1)], [(1, 1, 0), (0, 1, 0), (0, 1, 1), (1, 1, 1)],
    [(0, 1, 0), (0, 0, 0), (0, 0, 1), (0, 1, 1)], [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1)],
]  # fmt: skip


def triangles_of(corners, materials=None):
    """A scene of one group from corners, (N, 3, 3); triangle k shows as number k + 1."""
    corners = np.asarray(corners, np.float32)
    count = len(corners)
    stride = (-(-count // 16) * 16) | 16
    planes, surfaces = aligned(PLANES * stride, np.float32), aligned(stride, np.int32)
    rows = planes.reshape(PLANES, stride)
    rows[:9, :count] = corners.reshape(count, 9).T
    rows[15:, :count] = 1.0  # light
    numbers = np.arange(1, count + 1)
    tints = np.stack([numbers & 15, numbers >> 4 & 15, numbers >> 8], axis=1) / 16
    surfaces[:count] = [material(0, *tint) for tint in tints] if materials is None else materials
    everywhere = np.array([[0, 0, 0, 1e6, 1e6, 1e6, 1e6]], np.float32)
    return Triangles(planes, surfaces, np.array([0, -(-count // 16) * 16]), everywhere)


def camera_at(place, yaw=0.0, pitch=0.0, focal=FOCAL):
    """A camera; yaw clockwise from north, pitch down, in radians."""
    camera = np.zeros(1, CAMERA)
    sin, cos, dip, flat = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
    axes = {
        "right": (cos, -sin, 0.0),
        "down": (-sin * dip, -cos * dip, -flat),
        "forward": (sin * flat, cos * flat, -dip),
    }
    for name, axis in axes.items():
        for k, letter in enumerate("xyz"):
            camera[f"{name}_{letter}"] = axis[k]
    for k, letter in enumerate("xyz"):
        camera[letter] = place[k]
        camera[f"shadow_{letter}"] = place[k] - 100.0 * axes["forward"][k]  # behind the eye: no shadow
    camera["focal"], camera["shadow_radius"] = focal, 0.5
    return camera


def look_at(target, distance, yaw, pitch):
    """A camera that looks at a point from a distance."""
    back = (math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch), -math.sin(pitch))
    return camera_at([t - distance * b for t, b in zip(target, back, strict=True)], yaw, pitch)


@entry
def draw_without_figure(scene, figure, camera, look, scratch, width, height, image):
    """One frame of a scene alone; kept on disk with the other kernels."""
    draw(scene, figure, 0, camera[0], look, scratch, width, height, image, 0)


def picture(scene, camera, width=128, height=128, look=PLAIN, scratch=None):
    image = np.empty(height * width * 3, np.uint8)
    scratch = scratch or make_scratch(scene.material.size, width, height)
    draw_without_figure(scene, make_figure(), camera, look, scratch, width, height, image)
    return image.reshape(height, width, 3)


def numbers_in(image):
    """Which triangle shows in each pixel; 0 is the sky."""
    digits = np.rint(image.astype(float) / (255 / 16)).astype(int)
    return digits[..., 0] + 16 * digits[..., 1] + 256 * digits[..., 2]


def axes_of(camera):
    return np.array([[camera[0][f"{name}_{axis}"] for axis in "xyz"] for name in ("right", "down", "forward")], float)


def seen_by_rays(corners, camera, width=128, height=128):
    """What a ray through each pixel's centre meets first (Möller and Trumbore, 1997).

    Returns: numbers (H, W); sure (H, W), false where an edge or a tie is too close to call in float32.
    """
    corners = np.asarray(corners, np.float32).astype(float)
    eye = np.array([camera[0][axis] for axis in "xyz"], float)
    columns, rows = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    pixel = 1.0 / (float(camera[0]["focal"]) * width)
    rays = np.stack([columns * pixel, rows * pixel, np.ones_like(rows)], axis=-1) @ axes_of(camera)
    nearest, numbers = np.full(rows.shape, np.inf), np.zeros(rows.shape, int)
    sure = np.ones(rows.shape, bool)
    for number, (a, b, c) in enumerate(corners, 1):
        ab, ac = b - a, c - a
        across = np.cross(rays, ac)
        det = across @ ab
        with np.errstate(divide="ignore", invalid="ignore"):
            u = ((eye - a) * across).sum(-1) / det
            turned = np.cross(eye - a, ab)
            v = rays @ turned / det
            depth = (ac @ turned) / det
        least = np.minimum(np.minimum(u, v), 1 - u - v)
        front = det > 0  # counter-clockwise from the eye
        sure &= ~(front & (np.abs(least) < 0.01) & (depth > 0))
        hit = front & (least >= 0) & (depth > 0)
        sure &= ~(hit & (depth < 1.2 * NEAR))
        sure &= ~(hit & (np.abs(depth - nearest) < 2e-3 * depth))
        closer = hit & (depth < nearest)
        nearest, numbers = np.where(closer, depth, nearest), np.where(closer, number, numbers)
    return numbers, sure


def boxes_corners(origins, sizes):
    faces = np.array(BOX, float)
    corners = [
        (faces * size + origin)[:, pick]
        for origin, size in zip(origins, sizes, strict=True)
        for pick in ([0, 1, 2], [0, 2, 3])
    ]
    return np.concatenate(corners)


def cameras_around(seed, count, distance):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield look_at((0.5, 0.5, 0.5), rng.uniform(*distance), rng.uniform(-math.pi, math.pi), rng.uniform(-1.4, 1.4))


# Coverage


def test_one_triangle_covers_the_pixels_whose_centres_it_holds():
    """10 m ahead a screen 16 pixels wide is 16.7 m: a pixel is 1.0417 m, the triangle 8.33 m wide and high."""
    scene = triangles_of([[(0, 10, 0), (8.3334, 10, 0), (0, 10, 8.3334)]])
    covered = numbers_in(picture(scene, camera_at((0, 0, 0)), 16, 16)) == 1
    expected = np.zeros((16, 16), bool)
    for row in range(8):
        expected[row, 8 : 8 + row + 1] = True  # the corner of the right angle is in the middle of the picture
    assert np.array_equal(covered | np.eye(16, k=8, dtype=bool), expected)  # the slanted edge goes through centres


def test_only_the_front_shows():
    front = [(0, 10, 0), (5, 10, 0), (0, 10, 5)]
    assert numbers_in(picture(triangles_of([front]), camera_at((0, 0, 0)))).any()
    assert not numbers_in(picture(triangles_of([front[::-1]]), camera_at((0, 0, 0)))).any()
    assert numbers_in(picture(triangles_of([front[::-1]]), camera_at((0, 20, 0), yaw=math.pi))).any()


def test_a_closed_box_shows_no_hole_and_no_back():
    """Inside the outline of its eight corners every pixel is one of the faces that look at the eye."""
    corners = boxes_corners([(0, 0, 0)], [1.0])
    scene = triangles_of(corners)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    for camera in cameras_around(0, 60, (1.6, 6.0)):
        numbers = numbers_in(picture(scene, camera))
        eye = np.array([camera[0][axis] for axis in "xyz"], float)
        facing = 1 + np.flatnonzero(((eye - corners[:, 0]) * normals).sum(-1) > 0)
        assert np.all(np.isin(numbers, np.append(facing, 0)))
        inner, outer = outline(corners.reshape(-1, 3), camera)
        assert np.all(numbers[inner] > 0)
        assert np.all(numbers[~outer] == 0)


def outline(points, camera, side=128):
    """The pixels within the convex outline of points, surely and possibly."""
    eye = np.array([camera[0][axis] for axis in "xyz"], float)
    x, y, z = axes_of(camera) @ (points - eye).T
    on_screen = np.stack([x / z, y / z], axis=1) * float(camera[0]["focal"]) * side + side / 2
    hull = cv2.convexHull(on_screen.astype(np.float32))
    distance = np.array(
        [[cv2.pointPolygonTest(hull, (c + 0.5, r + 0.5), True) for c in range(side)] for r in range(side)]
    )
    return distance > 0.02, distance > -0.02


@pytest.mark.parametrize("seed", range(6))
def test_a_scene_covers_what_rays_meet(seed):
    """Fifty random triangles and six boxes, some behind the eye, some through it: the nearest front shows."""
    rng = np.random.default_rng(seed)
    loose = rng.normal(0, 4, (50, 1, 3)) + rng.normal(0, 2, (50, 3, 3))
    corners = np.concatenate([loose, boxes_corners(rng.normal(0, 5, (6, 3)), rng.uniform(0.5, 3, 6))])
    scene = triangles_of(corners)
    for _ in range(4):
        camera = camera_at(rng.normal(0, 3, 3), rng.uniform(-math.pi, math.pi), rng.uniform(-0.6, 1.2))
        numbers, sure = seen_by_rays(corners, camera)
        assert sure.mean() > 0.6
        assert np.array_equal(numbers_in(picture(scene, camera))[sure], numbers[sure])


def test_a_floor_under_the_eye_reaches_from_behind_it_to_the_horizon():
    """Its triangles go through the plane of the eye, where a division by depth would turn them over."""
    floor = [[(-50, -50, 0), (50, -50, 0), (50, 50, 0)], [(-50, -50, 0), (50, 50, 0), (-50, 50, 0)]]
    scene = triangles_of(floor)
    for yaw, pitch, height in itertools.product((0.0, 0.3, 2.0, -2.6), (-0.3, 0.0, 0.4, 1.2), (0.1, 1.0, 8.0)):
        camera = camera_at((1.0, 2.0, height), yaw, pitch)
        numbers, sure = seen_by_rays(floor, camera)
        assert np.array_equal(numbers_in(picture(scene, camera))[sure], numbers[sure])
        covered = numbers_in(picture(scene, camera)) > 0
        assert np.array_equal(covered[-1], (numbers > 0)[-1])  # without a seam along the diagonal


def test_what_is_behind_the_eye_does_not_show():
    scene = triangles_of([[(0, -1, 0), (5, -1, 0), (0, -1, 5)], [(0, -1, 5), (5, -1, 0), (0, -1, 0)]])
    assert not numbers_in(picture(scene, camera_at((0, 0, 0)))).any()


def wall_of(grid):
    """Two triangles for each square of a grid of points, (9, 9, 3)."""
    a, b, c, d = grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]
    return np.concatenate([np.stack(t, axis=2).reshape(-1, 3, 3) for t in ((a, b, c), (a, c, d))])


def upright(across, up, distance):
    return np.stack([across, np.full((9, 9), distance), up], axis=-1)


def test_triangles_that_share_an_edge_leave_no_gap_between_them():
    """A wall of 2 x 8 x 8 crooked triangles, seen at any slant; inside its outline there is no sky."""
    rng = np.random.default_rng(1)
    for _ in range(15):
        across, up = np.meshgrid(np.arange(-4.0, 5.0), np.arange(-4.0, 5.0), indexing="ij")
        across[1:-1, 1:-1] += rng.uniform(-0.4, 0.4, (7, 7))
        up[1:-1, 1:-1] += rng.uniform(-0.4, 0.4, (7, 7))
        wall = upright(across, up, 6.0)
        camera = look_at((0, 6, 0), rng.uniform(6, 14), rng.uniform(-1.2, 1.2), rng.uniform(-0.6, 0.6))
        inner, _ = outline(wall[[0, 0, -1, -1], [0, -1, -1, 0]], camera)
        assert inner.sum() > 100
        assert np.all(numbers_in(picture(triangles_of(wall_of(wall)), camera))[inner] > 0)


def test_there_is_no_gap_either_where_an_edge_goes_through_the_centres_of_pixels():
    """At 6.4 m with a focal length of 0.5 a metre is 10 pixels: diagonals hit centres, half a pixel aside sides do.

    A centre within rounding of a corner of many triangles is another matter: each may leave it to the next.
    """
    across, up = np.meshgrid(np.arange(-4.0, 5.0), np.arange(-4.0, 5.0), indexing="ij")
    scene = triangles_of(wall_of(upright(across, up, 6.4)))
    for x, z in ((0.0, 0.0), (0.05, 0.0), (-0.05, 0.0), (0.35, 0.0), (0.0, 0.05), (0.0, -0.05), (0.0, 0.35)):
        numbers = numbers_in(picture(scene, camera_at((x, 0, z), focal=0.5)))
        assert np.all(numbers[28:100, 28:100] > 0)
        assert 80 * 80 <= np.count_nonzero(numbers) <= 81 * 81


# Depth


def test_the_nearer_of_two_shows_whichever_is_drawn_first():
    near, far = [(-3, 5, -3), (3, 5, -3), (0, 5, 4)], [(-30, 20, -30), (30, 20, -30), (0, 20, 40)]
    one, other = (
        picture(triangles_of([near, far]), camera_at((0, 0, 0))),
        picture(triangles_of([far, near]), camera_at((0, 0, 0))),
    )
    assert numbers_in(one)[64, 64] == 1
    assert numbers_in(other)[64, 64] == 2
    assert set(np.unique(numbers_in(one))) == {0, 1, 2}


def test_surfaces_that_pass_through_each_other_part_where_they_meet():
    """A floor that rises to the east and one that rises to the west, seen from above, meet at x = 0."""
    east = [(-9, -9, -1), (9, -9, 1), (9, 9, 1)], [(-9, -9, -1), (9, 9, 1), (-9, 9, -1)]
    west = [(-9, -9, 1), (9, -9, -1), (9, 9, -1)], [(-9, -9, 1), (9, 9, -1), (-9, 9, 1)]
    numbers = numbers_in(picture(triangles_of([*east, *west]), camera_at((0, 0, 8), pitch=math.pi / 2)))
    assert np.all(np.isin(numbers[:, :62], (3, 4)))
    assert np.all(np.isin(numbers[:, 66:], (1, 2)))


@pytest.mark.parametrize("depth", [0.5, 5.0, 50.0, 200.0])
def test_a_thousandth_of_the_distance_can_be_told_apart(depth):
    wall = np.array([(-9, 1, -9), (9, 1, -9), (0, 1, 20)], float)
    scene = triangles_of([wall * depth * 1.001, wall * depth])
    assert np.all(np.isin(numbers_in(picture(scene, camera_at((0, 0, 0)))), (0, 2)))


# Pictures


@pytest.mark.parametrize(("width", "height"), [(16, 16), (16, 1), (48, 112), (128, 128), (160, 90), (640, 360)])
def test_a_picture_of_any_size_covers_what_rays_meet(width, height):
    corners = boxes_corners([(-1, 4, -1), (1, 6, 0)], [1.5, 2.0])
    camera = camera_at((0, 0, 0.3), 0.1, 0.05)
    numbers, sure = seen_by_rays(corners, camera, width, height)
    assert np.array_equal(numbers_in(picture(triangles_of(corners), camera, width, height))[sure], numbers[sure])


def test_scratch_is_left_clean():
    """A picture does not depend on what was drawn with the same scratch before."""
    scene = triangles_of(boxes_corners([(0, 0, 0)], [1.0]))
    scratch = make_scratch(scene.material.size, 128, 128)
    cameras = list(cameras_around(2, 3, (1.2, 3.0)))
    first = [picture(scene, camera, scratch=scratch) for camera in cameras]
    assert not scratch.words.any()
    again = [picture(scene, camera, scratch=scratch) for camera in reversed(cameras)][::-1]
    assert np.array_equal(first, again)


def test_leaving_out_groups_that_cannot_be_seen_changes_no_pixel(world: World):
    boxes = world.triangles.group_box.copy()
    boxes[:, 6] = 1e6  # as far as one can see
    careful = world.triangles._replace(group_box=boxes)
    everywhere = boxes.copy()
    everywhere[:, 3:6] = 1e6
    careless = world.triangles._replace(group_box=everywhere)
    rng = np.random.default_rng(0)
    for _ in range(25):
        camera = camera_at(rng.uniform((-25, -27, 1), (25, 20, 9)), rng.uniform(-3, 3), rng.uniform(-0.5, 0.95))
        assert np.array_equal(picture(careful, camera, look=world.look), picture(careless, camera, look=world.look))


def test_small_things_far_away_are_all_that_is_left_out(world: World):
    """Leaving out what shrinks to about a pixel changes a picture a little at most."""
    boxes = world.triangles.group_box.copy()
    boxes[:, 6] = 1e6
    rng = np.random.default_rng(1)
    for _ in range(25):
        camera = camera_at(rng.uniform((-25, -27, 4), (25, 20, 7)), rng.uniform(-3, 3), rng.uniform(-0.1, 0.5), 0.617)
        whole = picture(world.triangles._replace(group_box=boxes), camera, look=world.look).astype(int)
        drawn = picture(world.triangles, camera, look=world.look).astype(int)
        assert np.mean(np.abs(whole - drawn).max(-1) > 24) < 0.01


def test_the_world_has_at_least_2500_triangles_and_room_for_a_figure(world: World):
    real = np.count_nonzero(world.triangles.material)
    assert 2500 <= real <= MAX_TRIANGLES - make_figure().material.size


# Materials


def test_a_material_is_a_texture_and_three_tints_in_one_word():
    """3 + 256 x 32 + 128 x 2^14 + 511 x 2^23 = 4288684035, which as an int32 is 6283261 below zero."""
    assert material(3, 1.0, 0.5, 2.0) == 3 + (256 << 5) + (128 << 14) + (511 << 23) - (1 << 32) == -6283261
    assert material(31, 0.0, 0.0, 0.0) == 31
    assert material(0, -1.0, 0.0, 9.0) == material(0, 0.0, 0.0, 2.0)


@pytest.mark.parametrize(
    ("tint", "shown"),
    [((1.0, 1.0, 1.0), (255, 255, 255)), ((0.5, 0.25, 0.0), (127, 63, 0)), ((2.0, 1.0, 0.5), (255, 255, 127))],
)
def test_a_tint_scales_a_texture_and_stops_at_white(tint, shown):
    wall = [(-9, 3, -9), (9, 3, -9), (0, 3, 20)]
    image = picture(triangles_of([wall], [material(0, *tint)]), camera_at((0, 0, 0)))
    assert np.allclose(image[64, 64].astype(int), shown, atol=1)


def test_light_scales_a_surface():
    scene = triangles_of([[(-9, 3, -9), (9, 3, -9), (0, 3, 20)]], [material(0, 1.0, 1.0, 1.0)])
    scene.planes.reshape(PLANES, -1)[15:] = 0.5
    assert np.all(np.abs(picture(scene, camera_at((0, 0, 0)))[64, 64].astype(int) - 127) <= 1)


def test_fog_hides_with_the_square_of_the_distance_and_all_at_its_end():
    """With a density of 1 / 100, a quarter is fog at 50 m, and there is nothing else from 100 m on."""
    look = PLAIN._replace(fog=np.array([200.0, 100.0, 0.0, 0.01], np.float32))
    for distance, share in ((50.0, 0.25), (100.0, 1.0), (150.0, 1.0)):
        wall = np.array([(-9, 1, -9), (9, 1, -9), (0, 1, 20)], float) * distance
        image = picture(triangles_of([wall], [material(0, 0.0, 0.0, 0.0)]), camera_at((0, 0, 0)), look=look)
        assert np.allclose(image[64, 64].astype(int), np.multiply(share, (200, 100, 0)), atol=1)


def test_the_figures_shadow_darkens_the_ground_under_it_only():
    """0.4 of the light in the middle, all of it a radius away."""
    floor = [[(-50, -50, 0), (50, -50, 0), (50, 50, 0)], [(-50, -50, 0), (50, 50, 0), (-50, 50, 0)]]
    scene = triangles_of(floor, [material(0, 1.0, 1.0, 1.0)] * 2)
    camera = camera_at((0, 0, 5), pitch=math.pi / 2)  # a pixel is 5 / (0.6 x 128) = 0.065 m
    camera["shadow_x"], camera["shadow_y"], camera["shadow_z"], camera["shadow_radius"] = 0.0, 0.0, 0.0, 1.0
    image = picture(scene, camera)
    assert abs(int(image[64, 64, 0]) - 102) <= 2
    distance = np.hypot(*np.meshgrid(np.arange(128) - 63.5, np.arange(128) - 63.5)) * 5 / (0.6 * 128)
    assert np.all(image[distance > 1.01] >= 254)
    assert np.all(image[distance < 0.9] < 250)


# Meshes


def test_a_polygon_is_cut_into_a_fan_and_slivers_are_dropped():
    mesh = Mesh()
    mesh.polygon([(0, 0, 0), (2, 0, 0), (2, 2, 0), (1, 3, 0), (0, 2, 0)], 1)
    assert len(mesh) == 3
    mesh.polygon([(0, 0, 0), (1, 0, 0), (2, 0, 0)], 1)
    assert len(mesh) == 3


def test_more_triangles_than_there_are_numbers_for_is_an_error(world: World):
    mesh = Mesh()
    for k in range(MAX_TRIANGLES):
        mesh.polygon([(k, 0, 0), (k + 1, 0, 0), (k, 1, 0)], 1)
    ground: Ground = world.ground
    with pytest.raises(ValueError, match=r"8191 triangles, but a picture can hold \d+"):
        mesh.bake(ground, (0.0, 0.0, 1.0))


def test_baking_keeps_every_triangle_in_a_group_that_holds_it(world: World):
    mesh = Mesh()
    rng = np.random.default_rng(0)
    for _ in range(300):
        corners = (rng.uniform(-40, 40, 3) + rng.normal(0, 2, (3, 3))).tolist()
        mesh.polygon([tuple(corner) for corner in corners], 7)
    baked = mesh.bake(world.ground, world.island.sun)
    assert np.count_nonzero(baked.material == 7) == len(mesh)
    assert np.all(baked.group_start % 16 == 0)
    rows = baked.planes.reshape(PLANES, -1)
    for group, (first, last) in enumerate(itertools.pairwise(baked.group_start.tolist())):
        used = np.flatnonzero(baked.material[first:last] == 7) + first
        points = rows[:9, used].T.reshape(-1, 3)
        middle, half = baked.group_box[group, :3], baked.group_box[group, 3:6]
        assert np.all(np.abs(points - middle) <= half + 1e-4)


def test_a_face_in_the_sun_is_brighter_than_one_turned_away(world: World):
    """High above all ground, so that nothing else is in the way: 0.52 + 0.72 against 0.52 times half the sky."""
    mesh = Mesh()
    mesh.polygon([(0.0, 0.0, 90.0), (1.0, 0.0, 90.0), (0.0, 1.0, 90.0)], 1)
    mesh.polygon([(9.0, 1.0, 80.0), (10.0, 0.0, 80.0), (9.0, 0.0, 80.0)], 2)
    baked = mesh.bake(world.ground, (0.0, 0.0, 1.0))
    light = baked.planes.reshape(PLANES, -1)[15:]
    assert light[:, baked.material == 1].ravel() == pytest.approx(1.24)
    assert light[:, baked.material == 2].ravel() == pytest.approx(0.26)
