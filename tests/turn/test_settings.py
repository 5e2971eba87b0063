"""Settings: the defaults are what the RFCs say."""

from dataclasses import FrozenInstanceError

import pytest

from tornado_webrtc.stun.channeldata import MAX_CHANNEL, MIN_CHANNEL
from tornado_webrtc.turn.settings import TurnSettings

SETTINGS = TurnSettings(realm="example.org")


def test_lifetimes_are_those_of_rfc_8656() -> None:
    assert (SETTINGS.default_lifetime_s, SETTINGS.max_lifetime_s) == (600, 3600)
    assert (SETTINGS.permission_lifetime_s, SETTINGS.channel_lifetime_s) == (300, 600)
    assert SETTINGS.reservation_lifetime_s >= 30, '"at least 30 seconds" (section 7.2)'


def test_channel_numbers_are_those_that_channel_data_can_carry() -> None:
    assert range(MIN_CHANNEL, MAX_CHANNEL + 1) == SETTINGS.channel_numbers


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        SETTINGS.realm = "example.com"  # type: ignore[misc]
