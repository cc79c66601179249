/**
 * Drag and drop by pointer events: HTML's own does not work by touch.
 *
 * @param {object} options
 * @param {string} options.handles selector of what can be dragged
 * @param {string} options.zones selector of where it can be dropped
 * @param {(handle: HTMLElement) => boolean} options.allowed
 * @param {(handle: HTMLElement) => HTMLElement} options.picture what follows the pointer
 * @param {() => void} options.onLift
 * @param {(handle: HTMLElement, zone: HTMLElement) => void} options.onDrop
 */
export function makeDraggable({ handles, zones, allowed, picture, onLift, onDrop }) {
  const FAR = 6; // pixels; less is a click
  /** @type {null | {handle: HTMLElement, id: number, x: number, y: number, ghost: HTMLElement | null, zone: HTMLElement | null}} */
  let drag = null;

  addEventListener("pointerdown", (event) => {
    const handle = event.target instanceof Element ? event.target.closest(handles) : null;
    if (drag && !event.isPrimary) return; // a second finger
    end();
    if (!handle || event.button !== 0 || !allowed(handle)) return;
    drag = { handle, id: event.pointerId, x: event.clientX, y: event.clientY, ghost: null, zone: null };
  });

  addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    if (!drag.ghost) {
      if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < FAR) return;
      lift();
    }
    drag.ghost.style.transform = `translate(${event.clientX + 10}px, ${event.clientY + 10}px)`; // beside where it would fall
    aim(document.elementFromPoint(event.clientX, event.clientY)?.closest(zones) ?? null);
  });

  addEventListener("pointerup", (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    const { handle, zone, ghost } = drag;
    end();
    if (!ghost) return;
    // The click that follows a drag is none.
    addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => removeEventListener("click", swallow, { capture: true }));
    if (zone && handle.isConnected && allowed(handle)) onDrop(handle, zone);
  });

  addEventListener("pointercancel", end);
  addEventListener("blur", end);
  addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !drag?.ghost) return;
      event.stopImmediatePropagation();
      end();
    },
    { capture: true },
  );
  addEventListener("dragstart", (event) => event.preventDefault());

  function lift() {
    onLift();
    drag.ghost = picture(drag.handle);
    drag.ghost.classList.add("ghost");
    drag.ghost.setAttribute("aria-hidden", "true");
    // In full screen only what is in that element is seen.
    (document.fullscreenElement ?? document.body).append(drag.ghost);
    drag.handle.classList.add("lifted");
    document.documentElement.classList.add("dragging");
  }

  function aim(zone) {
    if (drag.zone === zone) return;
    drag.zone?.classList.remove("over");
    zone?.classList.add("over");
    drag.zone = zone;
  }

  function end() {
    if (!drag) return;
    drag.zone?.classList.remove("over");
    drag.ghost?.remove();
    drag.handle.classList.remove("lifted");
    document.documentElement.classList.remove("dragging");
    drag = null;
  }
}

function swallow(event) {
  event.stopPropagation();
  event.preventDefault();
}

/** A still of a video. @param {HTMLVideoElement} video @param {number} side pixels */
export function still(video, side) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side * Math.min(2, devicePixelRatio || 1);
  canvas.style.width = canvas.style.height = `${side}px`;
  canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas;
}
