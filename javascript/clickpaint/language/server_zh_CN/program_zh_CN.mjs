/** What the ground floor and the entry points says, in Simplified Chinese, sorted by its templates. JSON between the braces, so that a test can read it. */

export const zh_CN = {
    "A server for everybody has no token.": "对所有人开放的服务器没有令牌。",
    "Give --text alone, without --transparent, --mask, --point and --box.": "请单独使用 --text，不要同时使用 --transparent、--mask、--point 和 --box。",
    "Leave out either --public or --token.": "请去掉 --public 或 --token 中的一个。",
    "Make room there, or name another place with -o.": "请在那里腾出空间，或用 -o 指定别的位置。",
    "The setting {key} cannot be {value!r}.": "设置项 {key} 不能为 {value!r}。",
    "{target} cannot be written: {reason}.": "无法写入 {target}：{reason}。",
};
