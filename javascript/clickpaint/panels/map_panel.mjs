/** <clickpaint-maps>: control maps of the picture: made, looked at, put to use. It works on the page's canvas. */

import {h} from "../common/dom.mjs";
import {checkbox, choice, valuesOf} from "../common/form_fields.mjs";
import {t} from "../language/language.mjs";
import {said} from "../language/server_sentences.mjs";
import {CanvasPanel} from "./canvas_panel.mjs";
import {MapView} from "./map_view.mjs";
import {PreprocessorForm, mapBody, preferred} from "./preprocessor_form.mjs";

const FIRST = "canny", SECOND = "lineart_standard";
const BLENDS = {lighten: "maps.lighten", average: "maps.average", add: "maps.add"};
const BACKGROUNDS = {black: "maps.black", kept: "maps.kept"};

export class MapPanel extends CanvasPanel {
    /** @type {Promise<void> | null} */
    #loading = null;
    #making = false;
    #again = false;
    /** @type {MapView} */
    view;
    /** @type {PreprocessorForm[]} */
    layers;

    disconnectedCallback() {
        super.disconnectedCallback();
        this.workbench = this.editor = null;
    }

    build(canvas) {
        const {downloads, workbench} = canvas, {editor} = workbench, {listeners} = this;
        this.canvas = canvas;
        this.workbench = workbench;
        this.editor = editor;
        this.view ??= new MapView(this);
        listeners.on(editor, "change", () => this.#update());
        for (const type of ["opened", "frame"]) listeners.on(editor, type, () => this.view.forget());
        listeners.on(downloads, "models", () => this.#loading && this.#refresh());
        listeners.on(downloads, "tasks", () => this.layers?.forEach((layer) => layer.update()));
        listeners.observe(new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && this.#load()), this);
    }

    #load() {
        return (this.#loading ??= this.#ask());
    }

    async #ask() {
        this.replaceChildren(h("p", {}, t("busy.timeline")));
        try {
            this.#draw(await this.workbench.api.preprocessors());
        } catch (error) {
            this.#loading = null;
            this.replaceChildren(h("p", {}, said(error, "message") || t("error.unreachable")));
        }
    }

    async #refresh() {
        try {
            const {preprocessors} = await this.workbench.api.preprocessors();
            this.layers?.forEach((layer) => layer.offer(preprocessors));
            this.#update();
        } catch (error) {
            this.editor.emit("error", error);
        }
    }

    #draw({preprocessors, types}) {
        const first = (name) => preprocessors.find((preprocessor) => preprocessor.name === name && preprocessor.available)?.name ?? preferred(preprocessors).name;
        const layer = (name, title) => new PreprocessorForm(this.canvas, {list: preprocessors, types, first: first(name)}, title);
        this.layers = [layer(FIRST), layer(SECOND, t("maps.second"))];
        const listed = (table) => Object.entries(table).map(([value, key]) => [value, t(key)]);
        this.around = choice(t("maps.around"), "background", listed(BACKGROUNDS));
        this.blend = choice(t("maps.blend"), "blend", listed(BLENDS));
        this.switches = h("div.cp-switches", {}, checkbox(t("maps.pixel_perfect"), "pixel_perfect"), checkbox(t("maps.object_only"), "object_only"), this.around,
            checkbox(t("maps.two"), "two"));
        this.button = h("button.cp-make", {type: "button", onclick: () => this.make()}, t("maps.make"));
        this.form = h("div.cp-form", {role: "group", "aria-label": t("maps")}, this.layers[0].element, this.switches, this.layers[1].element, this.blend, this.button);
        this.form.addEventListener("change", (event) => this.#changed(event.target));
        this.form.addEventListener("clickpaint:chosen", () => this.#update());
        this.replaceChildren(this.form, this.view.element);
        this.#update();
    }

    /** A slider was let go or a switch thrown: a map that is seen follows. Other preprocessors may be slow, and are started by the button. */
    #changed(field) {
        this.#update();
        if (this.view.made && !["type", "preprocessor"].includes(field.name)) this.make();
    }

    #update() {
        if (!this.layers) return;
        const {two, object_only, pixel_perfect} = valuesOf(this.switches), used = this.#used();
        this.layers[1].element.hidden = this.blend.hidden = !two;
        this.around.hidden = !object_only;
        for (const layer of this.layers) {
            layer.showWeight(two);
            layer.setPixelPerfect(pixel_perfect);
        }
        this.button.disabled = !this.editor.ready || used.some((layer) => !layer.info.available);
        this.view.update(used[0].info);
    }

    #used() {
        return valuesOf(this.switches).two ? this.layers : this.layers.slice(0, 1);
    }

    body() {
        return mapBody(this.#used().map((layer) => layer.value()), {...valuesOf(this.switches), ...valuesOf(this.blend)});
    }

    /** Make the map that is asked for; asked for once more meanwhile, once more. */
    async make() {
        this.#again = true;
        if (this.#making) return;
        this.#making = true;
        try {
            while (this.#again && this.editor.ready) {
                this.#again = false;
                await this.#make(this.body(), this.#used());
            }
        } finally {
            this.#making = false;
        }
    }

    async #make(body, used) {
        const {editor} = this, {info} = used[0];
        const title = used.map((layer) => layer.info.label).join(" + ");
        await this.show({body, info, title}, () => this.workbench.api.makeMap(editor.id, body));
    }

    /** Show the map that `ask` resolves to; `source`: {body, info, title}, what makes it. */
    async show(source, ask) {
        const {editor} = this, {api} = this.workbench;
        const found = await editor.beside("control", async () => {
            const {id} = editor, {version} = editor.state, made = await ask();
            const picture = await api.map(id, made.map);
            return {...source, ...made, id, version, picture, bitmap: await createImageBitmap(picture)};
        });
        if (found && found.id === editor.state.workspace?.id) this.view.show(found);
        else found?.bitmap.close();
    }
}
