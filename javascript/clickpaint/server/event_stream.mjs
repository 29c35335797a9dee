/** Server-sent events that answer a POST, which the browser's own EventSource cannot ask for. Follows the HTML standard, section 9.2. */

const SILENCE = 45_000; // the server says something every ten seconds

/** Each event as [name, data], as soon as it has come. Throws where nothing comes for `silence` ms: whoever waits is not to wait for ever. */
export async function* eventsOf(response, silence = SILENCE) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
        for (;;) {
            const {value, done} = await within(silence, reader.read());
            if (done) return;
            const blocks = (rest + value).split("\n\n");
            rest = blocks.pop() ?? "";
            for (const block of blocks) {
                const event = parsed(block);
                if (event) yield event;
            }
        }
    } finally {
        reader.cancel().catch(() => {});
    }
}

/**
 * null for a block without data: a comment that keeps the connection.
 *
 * @returns {[string, any] | null}
 */
function parsed(block) {
    const fields = block.split("\n").map((line) => line.match(/^(\w+): ?(.*)$/)).filter(Boolean);
    const data = fields.filter(([, name]) => name === "data").map(([, , value]) => value);
    return data.length ? [fields.find(([, name]) => name === "event")?.[2] ?? "message", JSON.parse(data.join("\n"))] : null;
}

async function within(milliseconds, promise) {
    let timer;
    const late = new Promise((_, fail) => (timer = setTimeout(() => fail(new Error("The server fell silent.")), milliseconds)));
    try {
        return await Promise.race([promise, late]);
    } finally {
        clearTimeout(timer);
    }
}
