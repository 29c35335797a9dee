/** The server's sentences that users meet most, in the page's language. It speaks English; what is not in here stays so. */

import {language} from "./i18n.mjs";

/** A sentence of the server, with `{}` for each value, and what the page says, with the values in the same order. */
export const SPOKEN = {
    zh_CN: {
        "Nothing is selected.": "还没有选择任何内容。",
        "Click on an object first.": "请先点击一个物体。",
        "Click on what is to be removed first.": "请先点击要移除的物体。",
        "Nothing was found there.": "那里没有找到任何物体。",
        "Click somewhere else, or draw a box around it.": "请点击别处，或在它周围画一个框。",
        "There is nothing to paint.": "没有可以绘制的区域。",
        "Select an object that does not fill the whole picture.": "请选择一个没有占满整张图片的物体。",
        "All results were skipped.": "所有结果都被跳过了。",
        "Paint again.": "请重新绘制。",
        "This result cannot be refined any more.": "这个结果已无法再细化。",
        "Paint again, then refine one of the results.": "请重新绘制，再细化其中一个结果。",
        "There is no such workspace (any more).": "这个工作区已不存在。",
        "This workspace was closed.": "这个工作区已关闭。",
        "Open the picture again.": "请重新打开图片。",
        "There is nothing to undo.": "没有可以撤销的操作。",
        "There is nothing to redo.": "没有可以重做的操作。",
        "Too many requests are under way.": "正在处理的请求太多。",
        "Too many requests wait for this picture.": "等待处理这张图片的请求太多。",
        "Too much is waiting to be computed.": "等待计算的任务太多。",
        "Too many pictures are being worked on.": "正在处理的图片太多。",
        "Several downloads are under way.": "已有多个下载正在进行。",
        "Wait for one of them, or cancel it.": "请等待其中一个完成，或将其取消。",
        "Try again in a few seconds.": "请过几秒再试。",
        "Try again in a minute, or close one.": "请过一分钟再试，或关闭其中一张。",
        "Try again when the ones before have been answered.": "请等前面的请求完成后再试。",
        "Downloads are switched off.": "下载已关闭。",
        "Switch the setting offline off, or put the file there yourself.": "请关闭离线设置，或自行放入文件。",
        "{} ({}) is not on this machine.": "这台机器上没有 {}（{}）。",
        "The device ran out of memory.": "设备内存不足。",
        "The device ran out of memory while painting.": "绘制时设备内存不足。",
        "Paint at a lower resolution, select less, or start the web UI with --medvram.": "请降低分辨率、缩小选区，或以 --medvram 启动 Web UI。",
        "The checkpoint gave a black picture (NaN).": "模型输出了黑图（NaN）。",
        "Start the web UI with --no-half-vae or --upcast-sampling, or choose another VAE.":
            "请以 --no-half-vae 或 --upcast-sampling 启动 Web UI，或换一个 VAE。",
        "The web UI has no checkpoint.": "Web UI 没有模型。",
        "Put a Stable Diffusion checkpoint into its models/Stable-diffusion folder.": "请将 Stable Diffusion 模型放入 models/Stable-diffusion 文件夹。",
        "The web UI could not load its checkpoint.": "Web UI 无法加载模型。",
        "Choose another one at the top of the page; its log says what is wrong.": "请在页面顶部换一个模型；日志中有出错原因。",
        "The web UI is still starting.": "Web UI 仍在启动。",
        "This web UI has no sampler '{}'.": "这个 Web UI 没有采样器“{}”。",
        "This web UI has no ControlNet.": "这个 Web UI 没有 ControlNet。",
        "This is not a picture of a kind that can be opened.": "无法打开这种图片。",
        "The picture file is empty.": "图片文件是空的。",
        "The picture file is cut off.": "图片文件不完整。",
        "Copy or download it again.": "请重新复制或下载。",
        "The file has {} MB, more than the {} MB allowed.": "文件大小为 {} MB，超过允许的 {} MB。",
        "Save it smaller, or raise the limit in the settings.": "请另存为更小的文件，或在设置中提高上限。",
        "The picture has {} × {} pixels ({} megapixels), more than the {} allowed.": "图片为 {} × {} 像素（{} 百万像素），超过允许的 {}。",
        "Scale it down, or raise the limit in the settings.": "请缩小图片，或在设置中提高上限。",
        "There is no captioner: download BLIP, or put one into models/captioner.": "没有描述模型：请下载 BLIP，或将模型放入 models/captioner。",
        "There is no captioner here.": "这里没有描述模型。",
        "Download BLIP in the list of models, or put a captioner's folder into models/captioner.": "请在模型列表中下载 BLIP，或将描述模型的文件夹放入 models/captioner。",
        "Set the address of a text model (Ollama, LM Studio, llama.cpp …) in the settings, or put an instruct model into the captioner folder.":
            "请在设置中填写文本模型（Ollama、LM Studio、llama.cpp 等）的地址，或将指令模型放入 captioner 文件夹。",
        "Nothing here can answer questions.": "这里没有能回答问题的模型。",
        "Put BLIP-VQA or a chat model with eyes (SmolVLM, Qwen-VL) into models/captioner, or set a text model in the settings.":
            "请将 BLIP-VQA 或能看图的对话模型（SmolVLM、Qwen-VL）放入 models/captioner，或在设置中填写文本模型。",
        "There is no CLIP model here.": "这里没有 CLIP 模型。",
        "Put a CLIP model's folder into models/captioner.": "请将 CLIP 模型的文件夹放入 models/captioner。",
        "There is no tagger here.": "这里没有标签模型。",
        "Put a WD tagger's folder into models/captioner.": "请将 WD 标签模型的文件夹放入 models/captioner。",
        "onnxruntime is not installed.": "没有安装 onnxruntime。",
        "transformers is not installed.": "没有安装 transformers。",
        "The installed transformers ({}.{}) has no {} yet; a newer one may.": "已安装的 transformers（{}.{}）还不支持 {}，更新的版本可能支持。",
        "This is Florence-2 with code of its own, which is not run; take the form that florence-community publishes.":
            "这是自带代码的 Florence-2，自带代码不会运行；请使用 florence-community 发布的版本。",
        "The web UI's captioner fails: {}": "Web UI 的描述模型出错：{}",
        "Choose another captioner.": "请换一个描述模型。",
        "The web UI downloads it when Interrogate CLIP is pressed for the first time.": "第一次点击 Interrogate CLIP 时，Web UI 会下载它。",
        "Its code does not run with the transformers that are installed.": "它的代码无法在已安装的 transformers 上运行。",
        "There is nothing to rank.": "没有可以排名的结果。",
        "Paint first, with a prompt.": "请先用提示词绘制。",
        "“{}” was not found in this picture.": "图片中没有找到“{}”。",
        "Say it in other words, or click on it.": "请换一种说法，或直接点击它。",
        "This needs a login.": "需要登录。",
        "Log in to the web UI.": "请登录 Web UI。",
    },
};

/** What the page says for what the server says: a sentence, or a fault with its remedy after it. */
export function spoken(said) {
    const whole = own(said);
    if (whole !== null) return whole;
    for (const {index} of said.matchAll(/(?<=[.!?]) /g)) {
        const [fault, remedy] = [own(said.slice(0, index)), own(said.slice(index + 1))];
        if (fault !== null && remedy !== null) return fault + remedy;
    }
    return said;
}

function own(sentence) {
    for (const [english, own] of Object.entries(SPOKEN[language()] ?? {})) {
        const found = sentence.match(pattern(english));
        if (found) return own.replace(/\{\}/g, () => found.splice(1, 1)[0]);
    }
    return null;
}

function pattern(english) {
    const pieces = english.split("{}").map((piece) => piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return new RegExp(`^${pieces.join("(.+?)")}$`, "s");
}
