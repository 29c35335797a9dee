/** Stand-alone only: the page as the settings want it. They stand in the page; see `ui/standalone.py`. */

/** The settings that widgets begin with. */
const OPTIONS = ["segmenter", "eraser", "erase_grow", "erase_feather", "erase_grain"];

/** @returns {Record<string, any> | undefined} the settings; undefined inside a web UI, which has its own */
const preferences = () => globalThis.clickpaintPreferences;

/** Light or dark, whatever Gradio makes of the system's. */
function dress() {
    const theme = preferences()?.theme ?? "auto";
    const dark = theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : theme === "dark";
    if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
}

/** Let the widgets that begin with settings follow them. */
function refresh() {
    document.getElementById("clickpaint_follow_settings")?.click();
}

/** Follow the settings from now on. */
export function followPreferences() {
    if (!preferences()) return;
    new MutationObserver(() => preferences()?.theme !== "auto" && dress()).observe(document.body, {attributes: true, attributeFilter: ["class"]});
    if (preferences()?.theme !== "auto") dress();
    document.addEventListener("clickpaint:joined", () => {
        const now = preferences() ?? {};
        if (OPTIONS.some((key) => now.widgets?.[key] !== now[key])) refresh();
    });
    document.addEventListener("clickpaint:setting", (event) => {
        const {key, value} = /** @type {CustomEvent} */ (event).detail, now = preferences() ?? {};
        now[key] = value;
        if (key === "theme") dress();
        if (OPTIONS.includes(key)) refresh();
    });
}
