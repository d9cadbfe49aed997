"""The models of these tests."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "teams"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    users: Mapped[list[User]] = relationship()


class User(Base):
    __tablename__ = "users"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "user"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    team_id: Mapped[int | None] = mapped_column(ForeignKey("teams.id"))


class Admin(User):
    __tablename__ = "admins"
    __mapper_args__ = {"polymorphic_identity": "admin"}  # noqa: RUF012

    id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    rights: Mapped[str] = mapped_column(server_default="read")


readers = Table(
    "readers",
    Base.metadata,
    Column("note_id", ForeignKey("notes.id"), primary_key=True),
    Column("user_id", ForeignKey("users.id"), primary_key=True),
)


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    readers: Mapped[list[User]] = relationship(secondary=readers, backref="notes")
