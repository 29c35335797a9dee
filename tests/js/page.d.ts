/** What the page's scripts and its surroundings put into the global scope. */

declare var clickpaint: {
    send(message: {do: string}, values: any[]): any[] | Promise<any[]>;
    [name: string]: (...values: any[]) => any;
};

/** Stand-alone only: the settings that the page starts with. */
declare var clickpaintPreferences: Record<string, any> | undefined;

/** A web UI's: the texts of its chosen language. */
declare var localization: Record<string, string> | undefined;
declare var onUiLoaded: ((callback: () => void) => void) | undefined;
declare var switch_to_clickpaint: () => any[];
declare var recalculate_prompts_clickpaint: (...values: any[]) => any[];

interface HTMLElementTagNameMap {
    "clickpaint-canvas": import("../../javascript/clickpaint/canvas/canvas.mjs").ClickpaintCanvas;
    "clickpaint-control": import("../../javascript/clickpaint/panels/controlnet_panel.mjs").ControlNetPanel;
}
