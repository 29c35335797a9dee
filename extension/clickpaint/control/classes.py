"""The classes that data sets name, and the colours in which ControlNet's segmentation models were shown them."""

from __future__ import annotations

Classes = tuple[tuple[str, tuple[int, int, int]], ...]
"""Name and RGB colour, in the order of the data set's numbers."""

_ADE20K = """
wall 787878 · building b47878 · sky 06e6e6 · floor 503232 · tree 04c803 · ceiling 787850 · road 8c8c8c · bed cc05ff · window e6e6e6
grass 04fa07 · cabinet e005ff · sidewalk ebff07 · person 96053d · earth 787846 · door 08ff33 · table ff0652 · mountain 8fff8c
plant ccff04 · curtain ff3307 · chair cc4603 · car 0066c8 · water 3de6fa · painting ff0633 · sofa 0b66ff · shelf ff0747 · house ff09e0
sea 0907e6 · mirror dcdcdc · rug ff095c · field 7009ff · armchair 08ffd6 · seat 07ffe0 · fence ffb806 · desk 0aff47 · rock ff290a
wardrobe 07ffff · lamp e0ff08 · tub 6608ff · rail ff3d06 · cushion ffc207 · base ff7a08 · box 00ff14 · column ff0829
signboard ff0599 · chest of drawers 0633ff · counter eb0cff · sand a09614 · sink 00a3ff · skyscraper 8c8c8c · fireplace fa0a0f
refrigerator 14ff00 · grandstand 1fff00 · path ff1f00 · stairs ffe000 · runway 99ff00 · case 0000ff · pool table ff4700
pillow 00ebff · screen door 00adff · stairway 1f00ff · river 0bc8c8 · bridge ff5200 · bookcase 00fff5 · blind 003dff
coffee table 00ff70 · toilet 00ff85 · flower ff0000 · book ffa300 · hill ff6600 · bench c2ff00 · countertop 008fff · stove 33ff00
palm 0052ff · kitchen island 00ff29 · computer 00ffad · swivel chair 0a00ff · boat adff00 · bar 00ff99 · arcade machine ff5c00
hovel ff00ff · bus ff00f5 · towel ff0066 · light ffad00 · truck ff0014 · tower ffb8b8 · chandelier 001fff · awning 00ff3d
street lamp 0047ff · booth ff00cc · tv 00ffc2 · plane 00ff52 · dirt track 000aff · clothes 0070ff · pole 3300ff · land 00c2ff
bannister 007aff · escalator 00ffa3 · ottoman ff9900 · bottle 00ff0a · buffet ff7000 · poster 8fff00 · stage 5200ff · van a3ff00
ship ffeb00 · fountain 08b8aa · conveyer belt 8500ff · canopy 00ff5c · washer b800ff · plaything ff001f · pool 00b8ff · stool 00d6ff
barrel ff0070 · basket 5cff00 · falls 00e0ff · tent 70e0ff · bag 46b8a0 · minibike a300ff · cradle 9900ff · oven 47ff00 · ball ff00a3
food ffcc00 · step ff008f · tank 00ffeb · trade name 85ff00 · microwave ff00eb · pot f500ff · animal ff007a · bicycle fff500
lake 0abed4 · dishwasher d6ff00 · screen 00ccff · blanket 1400ff · sculpture ffff00 · hood 0099ff · sconce 0029ff · vase 00ffcc
traffic light 2900ff · tray 29ff00 · trash can ad00ff · fan 00f5ff · pier 4700ff · crt screen 7a00ff · plate 00ffb8 · monitor 005cff
bulletin board b8ff00 · shower 0085ff · radiator ffd600 · glass 19c2c2 · clock 66ff00 · flag 5c00ff
"""

_COCO = """
person dc143c · bicycle 770b20 · car 00008e · motorcycle 0000e6 · airplane 6a00e4 · bus 003c64 · train 005064 · truck 000046
boat 0000c0 · traffic light faaa1e · fire hydrant 64aa1e · stop sign dcdc00 · parking meter af74af · bench fa001e · bird a52a2a
cat ff4dff · dog 00e2fc · horse b6b6ff · sheep 005200 · cow 78a69d · elephant 6e4c00 · bear ae39ff · zebra c76400 · giraffe 480076
backpack ffb3f0 · umbrella 007d5c · handbag d10097 · tie bcd0b6 · suitcase 00dcb0 · frisbee ff63a4 · skis 5c0049 · snowboard 8581ff
sports ball 4eb4ff · kite 00e400 · baseball bat aefff3 · baseball glove 2d59ff · skateboard 868667 · surfboard 9194ae
tennis racket ffd0ba · bottle c5e2ff · wine glass ab8601 · cup 6d3f36 · fork cf8aff · knife 97005f · spoon 09503d · bowl 546933
banana 4a4169 · apple a6c466 · sandwich d0c3d2 · orange ff6d41 · broccoli 008f95 · carrot b300c2 · hot dog d1636a · pizza 057900
donut e3ffcd · cake 93bad0 · chair 994501 · couch 035fa1 · potted plant a3ff00 · bed 7700aa · dining table 00b6c7 · toilet 00a578
tv b78258 · laptop 5f2000 · mouse 827287 · remote 6e8185 · keyboard a64a76 · cell phone db8eb9 · microwave 4fd272 · oven b25a3e
toaster 41460f · sink 7fa773 · refrigerator 3b696a · book 8e6c2d · clock c4ac00 · vase 5f3650 · scissors 804cff · teddy bear c93901
hair drier f6007a · toothbrush bfa2d0 · banner ffff80 · blanket 93d3cb · bridge 966464 · cardboard a8abac · counter 9270c6
curtain d2aa64 · door 5c8859 · floor-wood da58b8 · flower f18100 · fruit d911ff · gravel 7c4ab5 · house 464646 · light ffe4ff
mirror 9ad000 · net c1005c · pillow 4c5b71 · platform ffb4c3 · playingfield 6a9ab0 · railroad e6968c · river 3c8fff · road 804080
roof 5c5237 · sand fed47c · sea 494dae · shelf ffa062 · snow ffffff · stairs 68546d · tent a9a483 · towel e1c7ff · wall-brick 89364a
wall-stone 879edf · wall-tile 07f6e7 · wall-wood 6bffc8 · water 3a2995 · window-blind b7798e · window ff4961 · tree 6b8e23
fence be9999 · ceiling 928b8d · sky 4682b4 · cabinet 86c79c · table d1e28c · floor 60246c · pavement 606060 · mountain 40aa40
grass 98fb98 · dirt d0e5e4 · paper cebaab · food 98a140 · building 747000 · rock 00728f · wall 66669c · rug fa8dff
"""


def _parsed(table: str) -> Classes:
    entries = [entry.rpartition(" ") for line in table.strip().splitlines() for entry in line.split(" · ")]
    return tuple((name, (int(color[:2], 16), int(color[2:4], 16), int(color[4:], 16))) for name, _, color in entries)


ADE20K = _parsed(_ADE20K)
"""The 150 classes of ADE20K's scene parsing (Zhou et al. 2017)."""

COCO = _parsed(_COCO)
"""The 133 classes of COCO's panoptic segmentation (Kirillov et al. 2019): things, then stuff."""
