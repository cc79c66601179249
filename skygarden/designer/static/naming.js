/** Who is labelling: asked once, not in the way, and changeable. */

const KEY = "skygarden labeller";
const at = (id) => /** @type {any} */ (document.getElementById(id));

/** The name used in this tab, or else the last one used here. @returns {string | null} */
export function rememberedName() {
  return stored(() => sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY)) ?? null;
}

/** A second tab may have another labeller, so a tab has its own memory. @param {string} name */
export function rememberName(name) {
  stored(() => sessionStorage.setItem(KEY, name));
  stored(() => localStorage.setItem(KEY, name));
}

function stored(use) {
  try {
    return use();
  } catch {
    return null; // a browser may forbid it; then the name is asked for again
  }
}

/**
 * @param {() => string} current
 * @param {(name: string) => void} onName a name was chosen, the current one perhaps
 */
export function makeNaming(current, onName) {
  const [form, button, input] = [at("naming"), at("name"), at("naming-name")];
  const toggle = (open) => {
    form.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
  };
  const fill = (why) => {
    at("naming-why").textContent = why;
    at("naming-kept").textContent = current();
    input.value = current();
    toggle(true);
  };
  let byKeyboard = false; // then the focus goes back to where it came from; else the keys belong to the videos
  const close = () => {
    const within = form.contains(document.activeElement);
    toggle(false);
    if (within && byKeyboard) button.focus();
    byKeyboard = false;
  };
  button.addEventListener("click", (event) => {
    byKeyboard = event.detail === 0;
    if (!byKeyboard) button.blur();
    if (!form.hidden) return close();
    fill("Answers are kept under this name.");
    input.select();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (!name) return;
    close();
    onName(name);
  });
  at("naming-cancel").addEventListener("click", () => {
    close();
    onName(current());
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  return { ask: () => fill(`Your answers are kept under the name “${current()}”. Is that you?`), close };
}
