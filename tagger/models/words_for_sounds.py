"""Plain words for AudioSet's classes of sounds, as a row's reason names them.

Left out: music, instruments and singing, and what says nothing of a sound's source ("Sound effect",
"Inside, small room").
"""

from __future__ import annotations

# Words: the classes that mean it.
_CLOSE = """
speech: Speech; Child speech, kid speaking; Conversation; Narration, monologue; Speech synthesizer
shouting: Shout; Bellow; Whoop; Yell; Children shouting; Screaming
babbling: Babbling
whispering: Whispering
laughter: Laughter; Baby laughter; Giggle; Snicker; Belly laugh; Chuckle, chortle
crying: Crying, sobbing; Baby cry, infant cry; Whimper; Wail, moan
groaning: Groan; Grunt; Sigh
breathing: Breathing; Wheeze; Gasp; Pant; Sniff
snoring: Snoring; Snort
coughing: Cough; Throat clearing
sneezing: Sneeze
steps: Walk, footsteps; Run; Shuffle
eating: Chewing, mastication; Biting; Crunch
gargling: Gargling
burping: Burping, eructation; Hiccup
a heartbeat: Heart sounds, heartbeat; Heart murmur
applause: Applause; Clapping; Cheering
a crowd: Crowd; Chatter; Hubbub, speech noise, speech babble; Children playing
a dog: Dog; Bark; Yip; Howl; Bow-wow; Growling; Whimper (dog)
a cat: Cat; Purr; Meow; Caterwaul
a horse: Horse; Clip-clop; Neigh, whinny
cattle: Cattle, bovinae; Moo
a pig: Pig; Oink
sheep or goats: Goat; Bleat; Sheep
chickens: Chicken, rooster; Cluck; Crowing, cock-a-doodle-doo; Turkey; Gobble
ducks or geese: Duck; Quack; Goose; Honk
birds: Bird; Bird vocalization, bird call, bird song; Chirp, tweet; Squawk; \
Bird flight, flapping wings
pigeons: Pigeon, dove; Coo
crows: Crow; Caw
an owl: Owl; Hoot
a lion or tiger: Roaring cats (lions, tigers); Roar
crickets: Cricket
insects: Insect; Mosquito; Fly, housefly; Buzz; Bee, wasp, etc.
frogs: Frog; Croak
a snake: Snake; Hiss
whales: Whale vocalization
wind: Wind; Rustling leaves; Wind noise (microphone)
thunder: Thunderstorm; Thunder
rain: Rain; Raindrop; Rain on surface
a stream: Stream; Trickle, dribble; Gurgling
a waterfall: Waterfall
the sea: Ocean; Waves, surf
steam: Steam
splashing: Splash, splatter; Slosh; Pour; Gush; Drip; Spray
fire: Fire; Crackle
a boat: Motorboat, speedboat; Ship; Sailboat, sailing ship; Rowboat, canoe, kayak
a car: Car; Car passing by; Race car, auto racing; Skidding; Tire squeal; \
Accelerating, revving, vroom
a car horn: Vehicle horn, car horn, honking; Toot; Air horn, truck horn
an alarm: Alarm; Car alarm; Alarm clock; Smoke detector, smoke alarm; Fire alarm; Reversing beeps
a truck or bus: Truck; Air brake; Bus
a siren: Siren; Civil defense siren; Police car (siren); Ambulance (siren); \
Fire engine, fire truck (siren)
a motorcycle: Motorcycle
traffic: Traffic noise, roadway noise
a train: Train; Train whistle; Train horn; Railroad car, train wagon; Train wheels squealing; \
Subway, metro, underground; Clickety-clack
an aircraft: Aircraft engine; Jet engine; Propeller, airscrew; Fixed-wing aircraft, airplane
a helicopter: Helicopter
a bicycle: Bicycle
a skateboard: Skateboard
an engine: Engine; Light engine (high frequency); Medium engine (mid frequency); \
Heavy engine (low frequency); Engine knocking; Engine starting; Idling
a dentist's drill: Dental drill, dentist's drill
a lawn mower: Lawn mower
a chainsaw: Chainsaw
a door: Door; Sliding door; Slam; Squeak; Creak
knocking: Knock; Tap; Thump, thud; Thunk
a doorbell: Doorbell; Ding-dong
dishes: Dishes, pots, and pans; Cutlery, silverware; Chink, clink
cooking: Chopping (food); Frying (food); Sizzle; Boiling; Stir
a kitchen appliance: Microwave oven; Blender
running water: Water tap, faucet; Sink (filling or washing); Bathtub (filling or washing); \
Fill (with liquid); Toilet flush
a hair dryer: Hair dryer
a vacuum cleaner: Vacuum cleaner
a toothbrush: Toothbrush; Electric toothbrush
a shaver: Electric shaver, electric razor
coins or keys: Coin (dropping); Keys jangling
typing: Typing; Typewriter; Computer keyboard
writing: Writing
a telephone: Telephone; Telephone bell ringing; Ringtone
telephone tones: Telephone dialing, DTMF; Dial tone; Busy signal
beeps: Beep, bleep; Ping; Chirp tone; Sonar
a tone: Sine wave; Buzzer; Foghorn
a whistle: Whistle; Steam whistle
a clock: Clock; Tick; Tick-tock
machinery: Ratchet, pawl; Gears; Pulleys; Sewing machine; Cash register; Printer; Whir
a fan: Mechanical fan; Air conditioning
a camera: Camera; Single-lens reflex camera
hammering: Hammer; Jackhammer
sawing: Sawing; Filing (rasp); Sanding
a power tool: Power tool; Drill
an explosion: Explosion; Eruption; Boom; Burst, pop
gunshots: Gunshot, gunfire; Machine gun; Fusillade; Artillery fire; Cap gun
fireworks: Fireworks; Firecracker
breaking glass: Glass; Shatter
chopping wood: Chop; Splinter; Crack
things that break: Breaking; Smash, crash; Crushing
crumpling paper: Crumpling, crinkling; Tearing; Rustle
a rush of air: Whoosh, swoosh, swish
scraping: Scratch; Scrape; Rub
a ball: Basketball bounce; Bouncing
blows: Bang; Slap, smack; Whack, thwack; Whip
clattering: Clatter; Rattle; Clang
clicks: Clicking
rumbling: Rumble
noise: White noise; Pink noise; Static
hum: Hum; Mains hum
"""

# Parents of closer classes, which always score as high as these.
_BROAD = """
an animal: Animal; Domestic animals, pets; Livestock, farm animals, working animals; Fowl; \
Wild animals; Canidae, dogs, wolves; Rodents, rats, mice
a vehicle: Vehicle; Motor vehicle (road); Boat, Water vehicle; Emergency vehicle; Rail transport; \
Aircraft
water: Water; Liquid
machinery: Mechanisms; Tools
"""


def _parsed(table: str) -> dict[str, str]:
    """Return the words by class."""
    rows = (row.split(": ", 1) for row in table.strip().splitlines())
    return {label: words for words, labels in rows for label in labels.split("; ")}


CLOSE, BROAD = _parsed(_CLOSE), _parsed(_BROAD)
