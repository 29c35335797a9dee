/** What the room erase says, in Simplified Chinese, sorted by its templates. JSON between the braces, so that a test can read it. */

export const zh_CN = {
    "A picture is uint8 [H, W, 3], not {dtype} {shape}.": "图片应为 uint8 [H, W, 3]，而不是 {dtype} {shape}。",
    "Choose one of {erasers}.": "请选择其中之一：{erasers}。",
    "Install it, or choose another eraser.": "请安装它，或换一个移除引擎。",
    "It goes from 0 to {maximum} pixels.": "范围为 0 到 {maximum} 像素。",
    "It must be bool {picture_shape}.": "它应为 bool {picture_shape}。",
    "Put another file there.": "请在那里放入另一个文件。",
    "Say nothing about grain, or choose classic.": "请不要指定颗粒，或选择 classic。",
    "The eraser {name} cannot run here: it {reason}.": "移除引擎 {name} 无法在这里运行：{reason}。",
    "The eraser {name} puts no grain into what it fills.": "移除引擎 {name} 不会在填充内容中加入颗粒。",
    "The grain cannot be {value:g}.": "颗粒不能是 {value:g}。",
    "The mask is {dtype} {shape}.": "蒙版为 {dtype} {shape}。",
    "The network of {model} answers with NaN.": "{model} 的网络输出了 NaN。",
    "There is no eraser {name!r}.": "没有移除引擎“{name}”。",
    "needs lama-cleaner, which runs on Python up to 3.12": "需要 lama-cleaner，它最高支持 Python 3.12",
    "needs the package {packages}": "需要软件包 {packages}",
    "{filename} is not a file of {model}.": "{filename} 不是 {model} 的文件。",
    "{name} cannot be {value}.": "{name} 不能是 {value}。",
};
